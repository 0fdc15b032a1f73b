"""The booker: turns facts into books, in numbered, committed runs.

1. One booker at a time: the owner of the one partition of a consumer group (:mod:`lease`). A second one waits.
2. A run takes what lies between the offsets of the last run and the newest checkpoints, computes the *target* for all
   that it touches, subtracts what live runs have *booked*, and inserts the difference under its own run id.
3. Last of all it inserts its row into ``runs``. Entries of a run without that row count for nothing.
4. A run names the run it was computed on. Where two have one number, the one that a later run builds on counts, else
   the lowest id; so a booker that wakes up late can at most add a run that is replaced, never a second truth.
5. A goal definition that has not counted history counts all of it in one run, together with what is new; until that
   run is committed the old definition is served.
6. Old runs are folded: a run that holds the sums of earlier runs replaces them, so the set of live runs stays small.
7. A sweep, now and then, compares everything with everything and books what it finds.
8. The target is computed by statements (:mod:`attribution`); where little is new, from a few rows, by the same rules in
   :mod:`processors.core` (:mod:`small_run`).

Reads: facts, checkpoints, ``control``.
Writes: goal_bookings, credits, goal_definitions, runs; copies of goals, projects, links and link goals.
"""
