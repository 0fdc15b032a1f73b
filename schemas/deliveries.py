"""The log of deliveries: what destinations are to be told, and what became of each attempt.

Topic ``deliveries`` carries both, keyed by destination, so that one partition holds all of a destination in order, and
its fold is all that must be known to go on. A replay asked for by a client is a :class:`Replay` on a topic of its own.
"""

import msgspec

from schemas.control import DestinationKind
from schemas.events import Conversion
from schemas.ids import derived
from schemas.outcomes import DeliveryOutcome, NoticeEvent


class Click(msgspec.Struct, frozen=True, omit_defaults=True):
    """The click on a link that a conversion is attributed to."""

    link_id: int | None = None
    click_id: int | None = None


class Task(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="task"):
    """A destination is to be told of a conversion."""

    destination_id: str
    conversion: Conversion
    made_at: int
    """ms; retries end so long after it."""
    replay: bool = False
    """Told again, whatever it was told before."""
    event: NoticeEvent | None = None
    """What it was announced as; None: that depends on what the destination has heard before."""
    click: Click | None = None
    """None: not settled when the task was made."""

    @property
    def delivery_id(self) -> str:
        return delivery_id(self.destination_id, self.conversion)


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="attempt"):
    """One attempt, and what follows from it."""

    attempt_id: str
    destination_id: str
    kind: DestinationKind
    conversion: Conversion
    event: NoticeEvent
    number: int
    """Counts the attempts of this delivery, from 1."""
    outcome: DeliveryOutcome
    status: int = 0
    """HTTP status; 0 where there was no answer."""
    detail: str = ""
    """What went wrong, in few words."""
    attempted_at: int
    duration_ms: int = 0
    next_at: int = 0
    """Time of the next attempt, ms; 0: there is none."""
    failures: int = 0
    """Attempts on this destination that failed in a row, this one included; 0 after a success."""
    click: Click | None = None
    """None: not looked up yet."""

    @property
    def delivery_id(self) -> str:
        return delivery_id(self.destination_id, self.conversion)


class Mark(msgspec.Struct, frozen=True, tag="mark"):
    """A place in the log: whoever has read it has read all that was there when it was written."""

    mark_id: str


class Replay(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A client asks that a destination be told again."""

    destination_id: str
    conversion: Conversion
    event: NoticeEvent
    asked_at: int


def delivery_id(destination_id: str, conversion: Conversion) -> str:
    """Id of what a destination is told in one revision of a conversion: the same for every attempt and replay."""
    return derived("delivery", destination_id, conversion.conversion_id, str(conversion.revision))


_encoder = msgspec.json.Encoder(decimal_format="string")
encode_delivery = _encoder.encode
decode_delivery = msgspec.json.Decoder(Task | Attempt | Mark).decode
decode_replay = msgspec.json.Decoder(Replay).decode
