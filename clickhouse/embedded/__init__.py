"""The ClickHouse engine (chDB) as a server: one process owns a directory and speaks ClickHouse's HTTP interface.

Rules
-----
- One process owns the directory, by a lock that dies with the process. A second one refuses to start.
- Every request runs on a chDB connection of its own, so settings, the current database and temporary tables end with
  the request, and a query never waits for an insert. A ``session_id`` keeps its connection between requests.
- A body is received whole (on disk beyond a few MiB) before a row of it is inserted: a client that goes away in the
  middle of its body has inserted nothing.
- An answer of 2xx to an insert means that its parts are written; ``kill -9`` does not lose them.
"""
