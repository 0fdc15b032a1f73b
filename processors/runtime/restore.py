"""Where a partition goes on, and with which state. c: Kafka's commit (0 without one); s: the offset of the state.

1. s >= c, of this topic and layout: go on from s. (s > c: it died between writing state and committing.)
2. Else the state is lost or older than the commit. It is rebuilt from the facts below c and the checkpoint at c.
3. No commit and no state: from the log's start with empty state if that is 0, else from the newest checkpoint.
4. Another topic id, a log that ends before s, or another record at s - 1 than the last one processed: the topic was
   made anew or cut. Its records would be skipped or taken for others, so the partition halts until someone decides.
"""

import logging
from typing import NamedTuple

from processors.runtime.facts import Facts
from processors.runtime.store import Position, Store
from processors.stages.result import Processor
from processors.stages.totals import Totals
from schemas.errors import Invariant

logger = logging.getLogger(__name__)


class Log(NamedTuple):
    """A partition in Kafka, now."""

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    committed: int | None


def restore(processor: Processor, store: Store, log: Log, facts: Facts) -> tuple[Store, Position]:
    """The state to go on with, and where.

    Raises :class:`Invariant` (rule 4, or facts are missing) and :class:`schemas.errors.Unavailable`.
    """
    name = f"{log.topic}-{log.partition}"
    position = store.position()
    if position is not None:
        if position.topic_id != log.topic_id:
            raise Invariant(
                f"{name} is another topic than the one its state is of ({log.topic_id}, not {position.topic_id}):"
                " it was made anew. Restore it, or begin with another topic prefix, database and data directory"
            )
        if position.next_offset > log.end:
            raise Invariant(f"{name} ends at {log.end}, but was processed up to {position.next_offset}: it was cut")
        if position.layout == processor.layout and position.next_offset >= (log.committed or 0):
            return store, position
    return _rebuild(processor, store, log, facts, name)


def _rebuild(processor: Processor, store: Store, log: Log, facts: Facts, name: str) -> tuple[Store, Position]:
    others = facts.other_topics(processor, log.topic_id, log.partition)
    if others:
        raise Invariant(
            f"{name} has topic id {log.topic_id}, but the store holds facts of {others[0]}: the topic was made anew."
            " Restore it, or begin with another topic prefix and database"
        )
    offset, totals = _start(processor, log, facts, name)
    if offset > log.end:
        raise Invariant(f"{name} ends at {log.end}, but was processed up to {offset}: it was cut")
    store = store.empty()
    clock = rows = 0
    if totals.stored:
        since = processor.rebuild_since(totals.clock)
        for page in facts.stored(processor, log.partition, below=offset, since=since):
            writes, clock = processor.rebuild(page, store, clock)
            store.write(writes)
            rows += len(page)
        if clock != totals.clock and not facts.erased(processor, log.partition, below=offset):
            raise Invariant(f"{name}: the facts below offset {offset} do not reach the clock of its checkpoint")
    position = Position(layout=processor.layout, topic_id=log.topic_id, next_offset=offset, totals=totals)
    store.write({}, processor.dead_ranges(totals.clock), position)
    if offset:
        logger.warning("%s: state rebuilt from %d stored rows, at offset %d", name, rows, offset)
    return store, position


def _start(processor: Processor, log: Log, facts: Facts, name: str) -> tuple[int, Totals]:
    """The offset to go on from, and the totals there."""
    if log.committed is None and log.start == 0:
        return 0, Totals()
    if log.committed == 0:
        return 0, Totals()
    found = facts.checkpoint(processor, log.topic_id, log.partition, log.committed)
    if found is not None:
        return found
    if log.committed is not None:
        raise Invariant(f"{name}: committed at {log.committed}, but the store has no checkpoint there")
    logger.warning("%s: nothing was processed yet, and the log starts at %d", name, log.start)
    return log.start, Totals()
