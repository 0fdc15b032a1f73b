"""The rules, pure: no I/O, no clock, no environment, no logging. Each module states its rules, numbered."""
