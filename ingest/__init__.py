"""HTTP in, Kafka out: validates, names, routes; answers 2xx only after Kafka has acknowledged with acks=all.

::

    __main__, service   the process: sockets, signals, what is started and stopped
    app                 routes, keys, CORS        upload, inflate   bodies, bounded in bytes and time
    ├ request           body -> events or refusals; pure: no clock, no I/O
    │ ├ body            text -> items, each with its own bytes
    │ ├ fields          the tables: names, types, lengths, ids that mean nothing
    │ └ objects, money, timestamps, visitor, bots
    ├ producer          the only module that imports aiokafka
    └ answers           statuses, bodies, headers

This package knows nothing of ClickHouse, and nothing imports it but the program that serves it.
"""
