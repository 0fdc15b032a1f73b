"""What is known of a conversion at a destination, and how the log of deliveries changes it. Pure.

1. A destination is told of each revision of a conversion once, in order: of the first, and of later ones that changed
   the money. A repeated announcement and one that changes nothing for this destination make no task.
2. What it hears is ``conversion.tracked`` as long as it has heard nothing of the conversion, ``conversion.updated``
   afterwards. What a delivery was first sent as it stays.
3. Retries end so long after the task was made; a replay begins a new time for the same delivery.
"""

from decimal import Decimal

import msgspec
from msgspec import structs

from schemas.deliveries import Attempt, Click, Task, delivery_id
from schemas.events import Conversion
from schemas.outcomes import DeliveryOutcome, NoticeEvent


class Pending(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A delivery that is still to be made."""

    destination_id: str
    conversion: Conversion
    made_at: int
    next_at: int
    attempts: int = 0
    event: NoticeEvent | None = None
    """What it was sent as, once it was."""
    click: Click | None = None

    @property
    def delivery_id(self) -> str:
        return delivery_id(self.destination_id, self.conversion)


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """The newest a destination was, or is to be, told of a conversion."""

    revision: int
    revenue: Decimal | None
    currency: str
    heard: bool = False
    """It has taken at least one delivery."""


class Known(msgspec.Struct, frozen=True):
    """All that is known of one conversion at one destination."""

    told: Told | None = None
    pending: tuple[Pending, ...] = ()
    """In order; only the first is attempted."""

    @property
    def next_event(self) -> NoticeEvent:
        """What the first pending delivery is to be sent as."""
        if self.pending and self.pending[0].event is not None:
            return self.pending[0].event
        return NoticeEvent.UPDATED if self.told is not None and self.told.heard else NoticeEvent.TRACKED


NOTHING = Known()


def take(known: Known, task: Task) -> Known:
    """What is known after a task; the same object if the task changes nothing (rule 1)."""
    conversion = task.conversion
    told = known.told
    if task.replay:
        waiting = tuple(one for one in known.pending if one.delivery_id != task.delivery_id)
        return Known(told or _told(conversion), (*waiting, _pending(task)))
    if told is not None:
        if conversion.revision <= told.revision:
            return known
        if (conversion.revenue, conversion.currency) == (told.revenue, told.currency):
            return known
    heard = told is not None and told.heard
    return Known(structs.replace(_told(conversion), heard=heard), (*known.pending, _pending(task)))


def settle(known: Known, attempt: Attempt) -> Known:
    """What is known after an attempt; the same object if it was of something that is not pending."""
    if not known.pending or known.pending[0].delivery_id != attempt.delivery_id:
        return known
    first, *others = known.pending
    if attempt.next_at:
        after = structs.replace(
            first, attempts=attempt.number, next_at=attempt.next_at, event=attempt.event, click=attempt.click
        )
        return Known(known.told, (after, *others))
    told = known.told
    if told is not None and attempt.outcome is DeliveryOutcome.DELIVERED:
        told = structs.replace(told, heard=True)
    return Known(told, tuple(others))


def _told(conversion: Conversion) -> Told:
    return Told(conversion.revision, conversion.revenue, conversion.currency)


def _pending(task: Task) -> Pending:
    return Pending(
        destination_id=task.destination_id,
        conversion=task.conversion,
        made_at=task.made_at,
        next_at=task.made_at,
        event=task.event,
        click=task.click,
    )
