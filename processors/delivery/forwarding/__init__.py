"""Conversions in the words of advertising platforms. Pure; ``docs/forwarding.md`` has the source of each rule."""
