"""Keep what a data-driven model computed: shares first, the run's row last, so a run is whole or not there."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from typing import Final, ParamSpec, TypeVar

from msgspec import Struct, structs

from clickhouse.connection import Connection
from clickhouse.models.shares import Share
from schemas.errors import Unavailable
from schemas.settings import ClickHouseSettings

IN_LINE_S: Final = 20.0
"""How long a computation waits for the one before it."""

P = ParamSpec("P")
T = TypeVar("T")


class StoredRun(Struct, frozen=True, kw_only=True):
    """A row of ``model_runs``."""

    project_id: str
    run_id: str
    model: str
    model_order: int
    dimension: str
    first_day: date
    last_day: date
    time_zone: str
    from_ms: int
    to_ms: int
    inputs_hash: str
    book_run: int
    conversions: int
    lost_paths: int
    cut_paths: int
    grouped_values: int
    created_at: datetime


class ModelStore:
    """One computation at a time, in a thread of its own: a large one takes a second of a core."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._line = asyncio.Lock()

    async def alone(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``work`` in a thread, after those before it. Raises :class:`Unavailable` if the line is too long."""
        try:
            await asyncio.wait_for(self._line.acquire(), timeout=IN_LINE_S)
        except TimeoutError:
            raise Unavailable("other models are being computed", retry_after_s=10) from None
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        finally:
            self._line.release()

    async def keep(self, run: StoredRun, shares: list[Share]) -> None:
        """Store it; storing the same run twice is storing it once. Raises as :class:`Connection` does."""
        await asyncio.to_thread(self._keep, run, shares)

    def _keep(self, run: StoredRun, shares: list[Share]) -> None:
        connection = Connection(self._settings)
        try:
            connection.append(
                "model_shares",
                [{"project_id": run.project_id, "run_id": run.run_id, **structs.asdict(share)} for share in shares],
            )
            connection.append("model_runs", [structs.asdict(run)])
        finally:
            connection.close()
