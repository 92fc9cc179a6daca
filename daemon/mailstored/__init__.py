"""The daemon of mailstore: purges mailboxes whose retention ran out, and reports drift.

`main` reads the command line, `settings` the configuration, `service` is the running daemon and `once` its foreground
counterpart. Both run the `tasks`; `timetable` runs them by the `schedule`. `activity`, `board`, `hook`, `logs`,
`metrics` and `notify` tell the outside what happens; `letter` is a command of its own that the hook may run.
"""
