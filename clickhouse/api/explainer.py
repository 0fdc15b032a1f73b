"""Why a conversion's credit lies where it lies.

The touches are found and judged by the booker's own statements, run anew for this one conversion on scratch rows of
their own, so what is explained is what the next run would book. Beside it stands what was booked, run by run, with its
cause.
"""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from clickhouse.api.answers import instant
from clickhouse.connection import Connection
from clickhouse.read import Parameters, Reader
from clickhouse.statements import EXPLAIN_SHARES, EXPLAIN_TOUCHES, REACHING, STATEMENTS
from schemas.control import Project
from schemas.errors import Reason, Refused
from schemas.mailing import WINDOW_DAYS
from schemas.settings import ApiSettings

IN: Final = "in"
NO_TOUCH: Final = str(uuid.UUID(int=0))


class Identity(Struct, frozen=True):
    """One identity of the person. ``value`` is null where it is only a hash of what a visitor sent."""

    kind: str
    value: str | None
    named_by_the_conversion: bool
    capped: bool
    """It has too many edges to tell anybody: it joins nothing."""


class Person(Struct, frozen=True):
    """Who the conversion's person is. ``matched_by``: the best identity that led to a touch; null where none did."""

    matched_by: str | None
    identities: list[Identity]


class Share(Struct, frozen=True):
    """What a touch gets in one scope, under one model: part of the conversion, and of its money net of refunds."""

    scope: str
    model: str
    share: Decimal
    amount: Decimal


class Verdict(Struct, frozen=True):
    """Whether a touch may be credited in one scope; ``why`` is null if it is, else after_conversion, outside_lookback,
    superseded, weaker_key, overridden or direct."""

    scope: str
    included: bool
    why: str | None


class Touch(Struct, frozen=True, kw_only=True):
    """A candidate. ``included`` and ``why`` are of scope ``all``; null where that scope does not know the touch."""

    touch_id: str | None
    """Null where nothing was found: the credit of nobody, or of a campaign that the conversion names itself."""
    touched_at: datetime
    kind: str
    matched_by: str | None
    source: str
    medium: str
    campaign: str
    channel: str
    link_id: int | None
    email_campaign_id: str | None
    flow_id: str | None
    included: bool | None
    why: str | None
    verdicts: list[Verdict]
    shares: list[Share]


class Booked(Struct, frozen=True, kw_only=True):
    """An entry of the book. ``cause``: why the run looked at the conversion: arrival, touch, refund or sweep."""

    run: int
    booked_at: datetime
    cause: str
    scope: str
    model: str
    entry: str
    touch_id: str
    source: str
    share: Decimal
    amount: Decimal
    currency: str | None


class Explanation(Struct, frozen=True, kw_only=True):
    """``touches`` in time order. For each scope and model that has any, shares add up to 1 and amounts to ``net``."""

    project_id: str
    conversion_id: str
    kind: str
    order_id: str | None
    converted_at: datetime
    received_at: datetime
    revenue: Decimal | None
    net: Decimal
    currency: str | None
    reports: int
    looks_back_to: dict[str, datetime]
    """By scope: touches at or before it do not count."""
    person: Person
    touches: list[Touch]
    bookings: list[Booked]


class Merged(Struct, frozen=True, kw_only=True):
    """The conversion as its reports say together."""

    kind: str
    order_id: str
    converted_ms: int
    received_ms: int
    revenue: Decimal | None
    currency: str
    reports: int


class Key(Struct, frozen=True, kw_only=True):
    """An identity of the person."""

    kind: str
    key: str
    own: bool
    capped: bool


class Entry(Struct, frozen=True, kw_only=True):
    """An entry of ``credits``, with its run."""

    run: int
    committed_ms: int
    run_kind: str
    cause: str
    scope: str
    model: str
    entry: str
    touch_id: str
    source: str
    share: Decimal
    amount: Decimal
    currency: str


class Explainer:
    """Explanations, each on a connection of its own, in a thread."""

    def __init__(self, settings: ApiSettings, reader: Reader) -> None:
        self._settings = settings
        self._reader = reader

    async def explain(self, project: Project, conversion_id: str) -> Explanation:
        """Raises :class:`Refused` (not_found), :class:`Unavailable`."""
        subject: Parameters = {"project_id": project.id, "conversion_id": conversion_id}
        found = await self._reader.rows("explain_conversion", Merged, subject)
        if not found:
            raise Refused(Reason.NOT_FOUND, "no such conversion", field="conversion_id")
        scope_id = str(uuid.uuid4())
        candidates, shares = await asyncio.to_thread(self._attribute, scope_id, subject)
        keys = await self._reader.rows("explain_keys", Key, {"scope_id": scope_id, "project_id": project.id})
        entries = await self._reader.rows("explain_bookings", Entry, subject)
        merged = found[0]
        return Explanation(
            project_id=project.id,
            conversion_id=conversion_id,
            kind=merged.kind,
            order_id=merged.order_id or None,
            converted_at=instant(merged.converted_ms),
            received_at=instant(merged.received_ms),
            revenue=merged.revenue,
            net=sum((row[-1] for row in shares if (row[0], row[1]) == ("all", "last_touch")), Decimal(0)),
            currency=merged.currency or None,
            reports=merged.reports,
            looks_back_to={row[0]: instant(row[1]) for row in candidates},
            person=Person(
                matched_by=_best([row[5] for row in candidates if row[-1] == IN]),
                identities=[
                    Identity(key.kind, None if key.kind == "fingerprint" else key.key, key.own, key.capped)
                    for key in keys
                ],
            ),
            touches=list(_touches(candidates, shares)),
            bookings=[_booked(entry) for entry in entries],
        )

    def _attribute(self, scope_id: str, subject: Parameters) -> tuple[Sequence[Sequence[Any]], Sequence[Sequence[Any]]]:
        """Run the booker's statements for the one conversion: its candidates and its shares."""
        parameters = {
            "run_id": scope_id,
            "scope_id": scope_id,
            "lookback_days": self._settings.lookback_days,
            "email_days": WINDOW_DAYS,
            "which": "all",
        }
        connection = Connection(self._settings.clickhouse)
        try:
            connection.append("run_conversions", [{"run_id": scope_id, **subject}])
            for name in REACHING:
                connection.execute(STATEMENTS[name], parameters)
            return connection.select(EXPLAIN_TOUCHES, parameters), connection.select(EXPLAIN_SHARES, parameters)
        finally:
            connection.close()


RANKS: Final = ("click", "session", "user", "contact", "anonymous", "fingerprint")


def _best(matched: Sequence[str]) -> str | None:
    return min(matched, key=RANKS.index, default=None)


def _touches(candidates: Sequence[Sequence[Any]], shares: Sequence[Sequence[Any]]) -> Iterator[Touch]:
    """Candidates in time order, and last what is credited without any touch."""
    judged: dict[str, list[Sequence[Any]]] = {}
    for row in candidates:
        judged.setdefault(row[2], []).append(row)
    given: dict[str, list[Share]] = {}
    unseen: dict[tuple[Any, ...], list[Share]] = {}
    for row in shares:
        share = Share(row[0], row[1], row[13], row[14])
        if row[2] == NO_TOUCH:
            unseen.setdefault(tuple(row[3:12]), []).append(share)
        else:
            given.setdefault(row[2], []).append(share)
    for id, rows in judged.items():
        verdicts = [Verdict(row[0], row[-1] == IN, None if row[-1] == IN else row[-1]) for row in rows]
        everywhere = next((verdict for verdict in verdicts if verdict.scope == "all"), None)
        _, _, _, at, kind, matched_by, *said, _ = rows[0]
        yield _touch(id, at, kind, matched_by, said, everywhere, verdicts, given.get(id, []))
    for (at, matched_by, *said), of_nobody in unseen.items():
        verdicts = [Verdict(scope, True, None) for scope in sorted({share.scope for share in of_nobody})]
        everywhere = next((verdict for verdict in verdicts if verdict.scope == "all"), None)
        yield _touch(None, at, "none", matched_by, said, everywhere, verdicts, of_nobody)


def _touch(
    id: str | None,
    at: int,
    kind: str,
    matched_by: str,
    said: Sequence[Any],
    everywhere: Verdict | None,
    verdicts: list[Verdict],
    shares: list[Share],
) -> Touch:
    source, medium, campaign, channel, link_id, email_campaign_id, flow_id = said
    return Touch(
        touch_id=id,
        touched_at=instant(at),
        kind=kind,
        matched_by=matched_by or None,
        source=source,
        medium=medium,
        campaign=campaign,
        channel=channel,
        link_id=link_id or None,
        email_campaign_id=email_campaign_id or None,
        flow_id=flow_id or None,
        included=everywhere.included if everywhere else None,
        why=everywhere.why if everywhere else None,
        verdicts=verdicts,
        shares=shares,
    )


def _booked(entry: Entry) -> Booked:
    return Booked(
        run=entry.run,
        booked_at=instant(entry.committed_ms),
        cause=entry.cause or entry.run_kind,
        scope=entry.scope,
        model=entry.model,
        entry=entry.entry,
        touch_id=entry.touch_id,
        source=entry.source,
        share=entry.share,
        amount=entry.amount,
        currency=entry.currency or None,
    )
