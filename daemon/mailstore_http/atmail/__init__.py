"""The API of atmail's mail server: XML over Basic authentication.

`dialect` finds out who asks, `calls` lists the calls, `users`, `accounts` and `aliases` make them, `rows` says which fields
an answer has and in which order, `parameters` reads what came, and `envelope` writes the XML.
"""
