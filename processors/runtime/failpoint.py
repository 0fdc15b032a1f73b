"""Where a process may be told to die: the seams between the steps of a batch or a run. For fault tests only.

``HEADWATER_FAILPOINT=after_insert:3`` kills the process (SIGKILL) when it has inserted its third batch.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum

FailPoint = Callable[["Seam"], None]


class Seam(StrEnum):
    """Between a step of a stage's batch, or of the booker's run, and the next."""

    AFTER_INSERT = "after_insert"
    AFTER_CHECKPOINT = "after_checkpoint"
    AFTER_PRODUCE = "after_produce"
    AFTER_STATE = "after_state"
    AFTER_COMMIT = "after_commit"
    """Of a batch to Kafka; of a run to ``runs``."""
    AFTER_GOALS = "after_goals"
    BEFORE_COMMIT = "before_commit"
    """A run's entries are all inserted; its row is not."""
    AFTER_REWRITE = "after_rewrite"
    """A forgotten person's rows are written anew; the old ones are still there."""
    AFTER_ERASE = "after_erase"
    """They are gone; the proof is not written."""


def unharmed(seam: Seam) -> None:
    """The fail point of every day."""


class Kill:
    """Dies at a seam, the ``nth`` time it is there."""

    def __init__(self, seam: Seam, nth: int = 1) -> None:
        self._seam = seam
        self._left = nth

    @classmethod
    def parse(cls, text: str) -> "Kill":
        """``<seam>`` or ``<seam>:<nth>``. Raises ValueError."""
        seam, _, nth = text.partition(":")
        return cls(Seam(seam), int(nth) if nth else 1)

    def __call__(self, seam: Seam) -> None:
        if seam is self._seam:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
