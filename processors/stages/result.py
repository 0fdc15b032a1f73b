"""What a stage takes in and hands back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from processors.stages.state import State
from processors.stages.totals import Totals
from schemas.outcomes import Quarantine, Stage
from schemas.topics import Topic


class Record(Protocol):
    """A Kafka record, as far as a stage looks at it."""

    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Letter(NamedTuple):
    """A line that a stage could not read."""

    offset: int
    line: int
    """Index in the record."""
    reason: Quarantine
    error: str
    payload: bytes
    headers: Sequence[tuple[str, bytes | None]] = ()
    """Of its record, as they came."""


class Message(NamedTuple):
    """A line for a topic downstream; its key chooses the partition."""

    key: str
    line: bytes


Columns = dict[str, list[Any]]


@dataclass(slots=True)
class Result:
    """All that one batch of one partition leads to."""

    columns: Columns
    """Rows of the stage's fact table, by column."""
    totals: Totals
    letters: list[Letter] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    erased: list[tuple[int, int]] = field(default_factory=list)
    """Offset and line of what was erased at a person's request: the proof that nothing else is missing."""
    writes: dict[bytes, bytes] = field(default_factory=dict)
    dead: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Ranges of state keys to delete, first and beyond the last, after ``writes``."""
    bad_run: int = 0
    """Unreadable lines at the end of the batch, with those before it."""


class Processor(Protocol):
    """A stage."""

    @property
    def stage(self) -> Stage: ...
    @property
    def topic(self) -> Topic: ...
    @property
    def downstream(self) -> Topic: ...
    @property
    def facts(self) -> str:
        """Table of its rows."""
        ...

    @property
    def stored(self) -> Any:
        """A NamedTuple class: the columns of a stored row that ``rebuild`` takes."""
        ...

    @property
    def layout(self) -> str:
        """Names the state's layout and the settings it depends on: other state is rebuilt."""
        ...

    def process(
        self, partition: int, records: Sequence[Record], state: State, totals: Totals, *, bad_run: int = 0
    ) -> Result:
        """Process records in log order. Raises :class:`schemas.errors.Invariant` after too many unreadable lines."""
        ...

    def rebuild_since(self, clock: int) -> int:
        """The ``received_at`` from which on stored rows matter to the state at this clock, ms."""
        ...

    def rebuild(self, rows: Sequence[Any], state: State, clock: int) -> tuple[dict[bytes, bytes], int]:
        """State writes for stored rows in log order, and the clock after them. ``state``: what earlier rows made."""
        ...

    def dead_ranges(self, clock: int) -> list[tuple[bytes, bytes]]:
        """Ranges of keys that mean nothing any more at this clock."""
        ...
