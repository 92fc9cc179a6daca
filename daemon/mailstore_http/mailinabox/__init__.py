"""The mail API of Mail-in-a-Box's panel.

`dialect` finds out who asks, `calls` lists the calls and makes them, `sentences` has the checks whose texts clients read,
and `listings` writes users, aliases and domains as the panel does.
"""
