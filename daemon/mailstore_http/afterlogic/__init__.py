"""AfterLogic WebMail's REST API: ``rest.php``, tokens, and JSON with a number for each failure.

`dialect` reads the token and writes the envelope, `calls` lists the calls, `accounts` and `domains` make them, and
`parameters` reads what came as PHP does.
"""
