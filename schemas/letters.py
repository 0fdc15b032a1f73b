"""Dead letters by name: ``<stage>-<partition>-<offset>-<index>``, the position at which a stage could not read a line.

A letter that is sent back to its topic is a new record there, with its own position; ``LETTER_HEADER`` names the letter
it was. If the stage cannot read it again, that is a new letter.
"""

import re
from typing import Final, NamedTuple

from schemas.outcomes import Stage

LETTER_HEADER: Final = "letter"
"""Header of a record that was sent back: the letter's name."""

_NAME: Final = re.compile(r"(?P<stage>[a-z]+)-(?P<partition>\d{1,5})-(?P<offset>\d{1,18})-(?P<index>\d{1,5})", re.ASCII)


class LetterId(NamedTuple):
    """Where a letter was."""

    stage: Stage
    partition: int
    offset: int
    line: int
    """Index in the record."""

    @classmethod
    def parse(cls, text: str) -> "LetterId":
        """The letter of this name. Raises ``ValueError`` if it is none."""
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError("a letter is named stage-partition-offset-index")
        return cls(Stage(found["stage"]), int(found["partition"]), int(found["offset"]), int(found["index"]))

    def __str__(self) -> str:
        return f"{self.stage.value}-{self.partition}-{self.offset}-{self.line}"
