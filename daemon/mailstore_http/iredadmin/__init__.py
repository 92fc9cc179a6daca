"""iRedAdmin-Pro's RESTful API.

`dialect` has the login, the sessions and the envelope; `calls` lists all calls, which `domains`, `admins`, `accounts`,
`aliases` and `policies` make. `parameters` reads what is sent, `profiles` makes what is answered, and `words` are those by
which the API says that something went wrong.
"""
