"""The part of a batch that runs in a thread of its own, so that the event loop keeps the heartbeats going."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from clickhouse.arrow import record_batch
from clickhouse.connection import Connection
from processors.runtime.facts import Facts
from processors.runtime.metrics import ProcessorMetrics
from processors.runtime.restore import Log, restore
from processors.runtime.store import Position, Store
from processors.stages.result import Columns, Processor, Record, Result
from schemas.codec import version
from schemas.errors import Invariant


@dataclass(slots=True)
class Partition:
    """A partition that this process owns and has restored."""

    number: int
    store: Store
    position: Position


@dataclass(slots=True)
class Work:
    """One batch of one partition on its way."""

    partition: Partition
    result: Result
    position: Position
    """After the batch."""
    rows: pa.RecordBatch


@dataclass(slots=True)
class Processed:
    """What came of processing: work, and the partitions that cannot go on."""

    work: list[Work] = field(default_factory=list)
    halted: dict[int, Invariant] = field(default_factory=dict)


def record_hash(value: bytes | None) -> bytes:
    """What the state remembers of its last record."""
    return hashlib.blake2b(value or b"", digest_size=16).digest()


class Worker:
    """All methods run in one thread. They raise :class:`schemas.errors.Unavailable` or :class:`Invariant`."""

    def __init__(self, processor: Processor, connection: Connection, metrics: ProcessorMetrics) -> None:
        self._processor = processor
        self._connection = connection
        self._metrics = metrics

    def restore(self, store: Store, log: Log) -> Partition:
        store, position = restore(self._processor, store, log, Facts(self._connection))
        return Partition(log.partition, store, position)

    def process(self, batches: Sequence[tuple[Partition, Sequence[Record]]]) -> Processed:
        """Process each partition's records; one that breaks a rule leaves the others alone."""
        processed = Processed()
        for partition, records in batches:
            before = partition.position
            try:
                result = self._processor.process(
                    partition.number, records, partition.store, before.totals, bad_run=before.bad_run
                )
                rows = record_batch(self._processor.facts, result.columns)
            except Invariant as error:
                processed.halted[partition.number] = error
                continue
            except (pa.ArrowException, OverflowError) as error:
                processed.halted[partition.number] = Invariant(f"a row does not fit {self._processor.facts}: {error}")
                continue
            after = Position(
                layout=before.layout,
                topic_id=before.topic_id,
                next_offset=records[-1].offset + 1,
                last_record=record_hash(records[-1].value),
                bad_run=result.bad_run,
                totals=result.totals,
            )
            processed.work.append(Work(partition, result, after, rows))
        return processed

    def insert(self, work: Sequence[Work]) -> None:
        """Insert the facts of all partitions at once, and the dead letters."""
        self._insert(self._processor.facts, [item.rows for item in work])
        letters = [self._letters(item) for item in work if item.result.letters]
        self._insert("dead_letters", [record_batch("dead_letters", columns) for columns in letters])
        erased = [self._erased(item) for item in work if item.result.erased]
        self._insert("erased_positions", [record_batch("erased_positions", columns) for columns in erased])

    def checkpoint(self, work: Sequence[Work]) -> None:
        """Insert a checkpoint row a partition."""
        columns: dict[str, list[Any]] = {
            "stage": [self._processor.stage.value] * len(work),
            "topic_id": [item.position.topic_id for item in work],
            "kafka_partition": [item.partition.number for item in work],
            "end_offset": [item.position.next_offset for item in work],
        }
        for name in work[0].position.totals.__struct_fields__:
            columns[name] = [getattr(item.position.totals, name) for item in work]
        self._insert("checkpoints", [record_batch("checkpoints", columns)])

    def keep(self, work: Sequence[Work]) -> None:
        """Write state and position: from here on the batch is done, whatever becomes of the commit."""
        for item in work:
            item.partition.store.write(item.result.writes, item.result.dead, item.position)
            item.partition.position = item.position

    def close(self) -> None:
        self._connection.close()

    def _insert(self, table: str, batches: Sequence[pa.RecordBatch]) -> None:
        if not any(batch.num_rows for batch in batches):
            return
        begun = time.perf_counter()
        rows = self._connection.insert(table, batches)
        self._metrics.insert.labels(table).observe(time.perf_counter() - begun)
        self._metrics.rows.labels(table).inc(rows)

    def _erased(self, item: Work) -> Columns:
        positions = item.result.erased
        return {
            "stage": [self._processor.stage.value] * len(positions),
            "kafka_partition": [item.partition.number] * len(positions),
            "kafka_offset": [offset for offset, _ in positions],
            "kafka_index": [index for _, index in positions],
        }

    def _letters(self, item: Work) -> Columns:
        letters = item.result.letters
        return {
            "stage": [self._processor.stage.value] * len(letters),
            "topic": [self._processor.topic.name] * len(letters),
            "kafka_partition": [item.partition.number] * len(letters),
            "kafka_offset": [letter.offset for letter in letters],
            "kafka_index": [letter.line for letter in letters],
            "reason": [letter.reason.value for letter in letters],
            "error": [letter.error for letter in letters],
            "payload": [letter.payload for letter in letters],
            "header_names": [[name for name, _ in letter.headers] for letter in letters],
            "header_values": [[value or b"" for _, value in letter.headers] for letter in letters],
            "quarantined_at": [item.position.totals.clock] * len(letters),
            "version": [version(letter.offset, letter.line) for letter in letters],
        }
