"""What a run looks at: the positions between the last run and the newest checkpoints."""

from collections.abc import Iterator, Mapping

import msgspec

from schemas.outcomes import Stage


class Head(msgspec.Struct, frozen=True):
    """The newest committed run: what the next one builds on."""

    number: int
    run_id: str
    offsets: Mapping[str, int]
    control_offset: int
    rules: int = 0
    """Hash of the statements that booked it."""


NO_RUN = "00000000-0000-0000-0000-000000000000"
NOTHING_BOOKED = Head(number=0, run_id=NO_RUN, offsets={}, control_offset=0)


def stream(stage: str, topic_id: str, partition: int) -> str:
    """Name of one partition of a stage's topic in ``runs.offsets``."""
    return f"{stage}:{topic_id}:{partition}"


class Delta(msgspec.Struct, frozen=True):
    """Offsets booked so far and offsets to book now, by stream. Offsets are exclusive ends."""

    since: Mapping[str, int]
    until: Mapping[str, int]

    def _ranges(self, stage: Stage) -> Iterator[tuple[int, int, int]]:
        for name, end in sorted(self.until.items()):
            of_stage, _, partition = name.split(":")
            begin = self.since.get(name, 0)
            if of_stage == stage and end > begin:
                yield int(partition), begin, end

    def touches(self, stage: Stage) -> bool:
        """Whether the stage has stored anything since."""
        return any(True for _ in self._ranges(stage))

    def positions(self) -> int:
        """How many positions of both topics it covers."""
        return sum(end - begin for stage in Stage for _, begin, end in self._ranges(stage))

    def condition(self, stage: Stage) -> str:
        """The SQL condition on kafka_partition and kafka_offset, in a form that uses the sort order. Integers only."""
        ranges = [
            f"(kafka_partition = {partition} AND kafka_offset >= {begin} AND kafka_offset < {end})"
            for partition, begin, end in self._ranges(stage)
        ]
        return " OR ".join(ranges) or "false"
