"""What the store knows of a partition: its checkpoints, and the rows that lost state is rebuilt from."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from clickhouse.connection import Connection
from processors.stages.result import Processor
from processors.stages.totals import Totals

PAGE_ROWS: Final = 100_000


class Facts:
    """Reads of one thread. Methods raise :class:`schemas.errors.Unavailable` or :class:`Invariant`."""

    def __init__(self, connection: Connection) -> None:
        self._query = connection.query

    def checkpoint(
        self, processor: Processor, topic_id: str, partition: int, end_offset: int | None = None
    ) -> tuple[int, Totals] | None:
        """The checkpoint at an offset, else the newest: its offset and totals."""
        rows = self._query(
            "checkpoint",
            stage=processor.stage.value,
            topic_id=topic_id,
            partition=partition,
            end_offset=end_offset,
        )
        for end, *counts in rows:
            return end, Totals(**dict(zip(Totals.__struct_fields__, counts, strict=True)))
        return None

    def other_topics(self, processor: Processor, topic_id: str, partition: int) -> list[str]:
        """Ids of other topics of this name that the store holds facts of."""
        rows = self._query("other_topics", stage=processor.stage.value, topic_id=topic_id, partition=partition)
        return [row[0] for row in rows]

    def erased(self, processor: Processor, partition: int, *, below: int) -> bool:
        """Whether rows below this offset were erased at a person's request."""
        ((count,),) = self._query("state_erased", stage=processor.stage.value, partition=partition, below=below)
        return bool(count)

    def stored(self, processor: Processor, partition: int, *, below: int, since: int) -> Iterator[list[Any]]:
        """Pages of the stored rows that state comes from, in log order, as the stage's ``stored`` tuples."""
        after = (-1, -1)
        make = processor.stored._make
        while True:
            rows = self._query(
                f"state_{processor.stage.value}",
                partition=partition,
                below=below,
                since=since,
                after_offset=after[0],
                after_index=after[1],
                page=PAGE_ROWS,
            )
            if not rows:
                return
            yield [make(value.bytes if isinstance(value, UUID) else value for value in row) for row in rows]
            after = (rows[-1][0], rows[-1][1])
