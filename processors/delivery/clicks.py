"""Which click on a link brought a conversion, asked of the store within bounds.

1. The facts of a conversion are in the store before it is announced, so all that are announced together are looked up
   together, once for all destinations.
2. The facts of its click come from another partition and may be late, and the store may be slow or away: what is not
   settled then waits for an answer, and one that names a click for that click, but only for some seconds after it was
   announced. What is not known by then is told as null, and of a backlog nothing waits.
"""

import asyncio
import time
from collections.abc import Collection
from typing import Final

from msgspec import Struct

from clickhouse.read import Reader, Table
from processors.delivery.postback import number_of
from schemas.deliveries import Click
from schemas.errors import HeadwaterError
from schemas.events import Conversion

LOOK_LEAST_S: Final = 1.0
"""What is late already is looked up, too, if the store answers quickly."""
LOOK_TOGETHER_S: Final = 5.0
"""So long an answer about what was announced together is waited for."""
LOOK_AGAIN_S: Final = 0.25
AWAY_S: Final = 10.0
"""So long after a failed look-up nothing that is late is looked up."""
LOOKBACK_DAYS: Final = 30


class Asked(Struct, frozen=True):
    """A row of the table ``announced``."""

    project_id: str
    conversion_id: str


class Found(Struct, frozen=True):
    """The row of ``clicks_of_conversions``."""

    conversion_id: str
    named: str
    """Click id that the conversion names, if any of its arrivals does."""
    link_id: int
    """0: no click is known."""
    click_id: str
    """Empty: no click is known, or so far only what finds it: views see a new event one after the other."""

    def settled(self) -> Click | None:
        """None: it has a click that is not stored, or not yet whole."""
        if self.link_id:
            return Click(link_id=self.link_id, click_id=number_of(self.click_id)) if self.click_id else None
        return Click() if number_of(self.named) is None else None


class Clicks:
    """Look-ups of one event loop."""

    def __init__(self, reader: Reader, *, wait_ms: int) -> None:
        self._reader = reader
        self._wait_ms = wait_ms
        self._away_until = 0.0

    async def known(self, conversions: Collection[Conversion]) -> dict[str, Click]:
        """By conversion id, what is settled by now of conversions that were just announced (rule 1)."""
        if not conversions or time.monotonic() < self._away_until:
            return {}
        found = {row.conversion_id: row.settled() for row in await self._look(conversions, LOOK_TOGETHER_S)}
        return {conversion_id: click for conversion_id, click in found.items() if click is not None}

    async def of(self, conversion: Conversion, since_ms: int) -> Click:
        """The click; what the announcement itself names if no more is known ``wait_ms`` after ``since_ms`` (rule 2)."""
        deadline = time.monotonic() + (since_ms + self._wait_ms) / 1000 - time.time()
        while True:
            left_s = deadline - time.monotonic()
            found: list[Found] = []
            if left_s > 0 or time.monotonic() >= self._away_until:
                found = await self._look([conversion], max(left_s, LOOK_LEAST_S))
            if found and (click := found[0].settled()) is not None:
                return click
            if left_s <= 0:
                return Click(click_id=number_of(found[0].named if found else conversion.click_id))
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _look(self, conversions: Collection[Conversion], limit_s: float) -> list[Found]:
        """A row of each that the store knows; none if it does not answer."""
        asked = {one.conversion_id: Asked(one.project_id, one.conversion_id) for one in conversions}
        table = Table("announced", ("project_id String", "conversion_id UUID"), list(asked.values()))
        try:
            async with asyncio.timeout(limit_s):
                return await self._reader.rows(
                    "clicks_of_conversions", Found, {"lookback_days": LOOKBACK_DAYS}, table=table
                )
        except (HeadwaterError, TimeoutError):
            self._away_until = time.monotonic() + AWAY_S
            return []
