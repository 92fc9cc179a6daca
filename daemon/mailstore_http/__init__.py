"""The documented HTTP APIs of mail servers, answered on the stores of mailstore.

`main` reads the command line, `settings` the configuration, `service` runs waitress between start and stop, and `app` is the
WSGI application: it reads a `messages.Request`, asks the dialect below whose prefix the path is, and logs. `iredadmin` and
`mailinabox` are dialects; `sessions`, `failures` and `networks` are what they share.
"""
