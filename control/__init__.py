"""The I/O side of the control log: one Kafka topic of one partition, kept for ever, that configures every process.

The records and their fold are :mod:`schemas.control`; this package reads and writes them.

============  ======================================================================================================
module        what it does
============  ======================================================================================================
``topics``    creates the declared topics: before anything else runs, and as often as one likes
``log``       ``ControlLog``: the view of this process, caught up on demand; write, change, delete
``tail``      follows the topic and applies each record to the view
``end``       where the log ends now, asked once for all who ask at the same time
``writer``    produces a record
``auth``      who may do what: key, project, scope
``keys``      makes API keys
``projects``  makes projects
============  ======================================================================================================

1. A process reads the whole log before it serves anything, so it never answers from half a configuration.
2. A write is answered once the writer's own view has applied it: a process reads its own writes.
3. A control read, and an unknown key or project, first catches up to the end of the log: a process reads all writes
   that were answered before, whoever answered them.
4. A log that was cut, emptied or made anew is not followed: the process keeps the view it has, says that it is not
   healthy, and is to be restarted.
"""
