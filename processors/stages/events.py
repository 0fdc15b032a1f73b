"""The events stage: dedupe, session, source, touch; and on to the conversions stage with what is one.

1. The state is what the stored rows tell: ``process`` changes it only by what it also writes into a row, and
   ``rebuild`` takes the same from the rows. So rebuilt state equals lived state.
2. Nothing depends on where batches are cut: what is loaded at the start of a batch is what the rules would look up.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from processors.core.conversions import arrival_of
from processors.core.dedupe import Dedupe, Seen
from processors.core.forgetting import Forgetting, nameless_event
from processors.core.locations import locate
from processors.core.sessions import DERIVED, KNOWN_MS, NAMED, Limits, Session, order_of
from processors.core.touches import DIRECT_VISIT, UNKNOWN, Source, Touch, evidence, mailed
from processors.stages.lines import Line, Reader, Unreadable, check_storable, uuid_of
from processors.stages.result import Columns, Message, Record, Result
from processors.stages.state import Overlay, State
from processors.stages.totals import Totals
from processors.stages.visits import Visits, mailbox_of, visit_of
from schemas.codec import decode_event, encode, version
from schemas.control import ForgetMode
from schemas.events import RawEvent
from schemas.mailing import NO_MAILING
from schemas.outcomes import Quarantine, Stage
from schemas.topics import CONVERSIONS_RAW, EVENTS_RAW

NO_ID: Final = bytes(16)
EMAIL: Final = Touch.EMAIL.value
HadProject = Callable[[str, int], bool]
"""Whether a project was there as of a control offset."""


class Stored(NamedTuple):
    """A stored event, as far as it matters to the state; the columns of ``clickhouse/queries/state_events.sql``."""

    kafka_offset: int
    kafka_index: int
    project_id: str
    event_id: bytes
    received_at: int
    occurred_at: int
    checksum: int
    visitor: str
    session_id: str
    session_named: bool
    session_opens: bool
    touch: str
    touch_source: str
    touch_medium: str
    touch_campaign: str
    touch_term: str
    touch_content: str
    touch_channel: str
    key_kinds: Sequence[str]
    key_values: Sequence[str]


class Stamp(NamedTuple):
    """What the stage found out about a stored event."""

    path: str
    session_id: str
    opens: bool
    known: Source
    touch: str
    shown: Source
    announced: Sequence[tuple[str, str]]


NO_VISIT: Final = Stamp("", "", False, UNKNOWN, "", UNKNOWN, ())
"""Of a refund: nobody came, so it opens and joins no session."""


class EventsStage:
    """Facts ``events`` from ``events-raw``."""

    stage = Stage.EVENTS
    topic = EVENTS_RAW
    downstream = CONVERSIONS_RAW
    facts = "events"
    stored = Stored

    def __init__(
        self,
        had_project: HadProject,
        *,
        window_ms: int,
        limits: Limits,
        bad_run_max: int,
        forgetting: Forgetting | None = None,
    ) -> None:
        self._had_project = had_project
        self._forgetting = forgetting
        self._dedupe = Dedupe(window_ms)
        self._limits = limits
        self._bad_run_max = bad_run_max
        self.layout = f"events/1 window={window_ms} idle={limits.idle_ms} longest={limits.longest_ms}"

    def process(
        self, partition: int, records: Sequence[Record], state: State, totals: Totals, *, bad_run: int = 0
    ) -> Result:
        reader = Reader(
            decode_event,
            self._check,
            control_offset=totals.control_offset,
            bad_run=bad_run,
            bad_run_max=self._bad_run_max,
        )
        lines, verdicts = self._forgotten(reader.read(records))
        dedupe, clock, window = self._dedupe, totals.clock, self._dedupe.window_ms

        received = [line.event.received_at for line in lines]
        newest = dedupe.buckets.of(max(clock, *received, 0))
        oldest = dedupe.buckets.first_live(clock)
        tails = [_tail(line.event.project_id, line.event_id) for line in lines]
        heads = {bucket: dedupe.heads(bucket * window, oldest, newest) for bucket in {at // window for at in received}}
        places = [[head + tail for head in heads[at // window]] for tail, at in zip(tails, received, strict=True)]
        seen: Overlay[Seen] = Overlay(Seen.unpack, Seen.pack)
        seen.load(state, (place for some in places for place in some))

        guests = [_guest(line.event) for line in lines]
        visits_of = [self._visit_of(line.event, guest) for line, guest in zip(lines, guests, strict=True)]
        clocks = {clock // KNOWN_MS, *(at // KNOWN_MS for at in received if at > clock)}
        visits = Visits(self._limits, state, visits_of, clocks)

        duplicate = conflict = 0
        kept: list[Line[RawEvent]] = []
        stamps: list[Stamp] = []
        messages: list[Message] = []
        erased: list[tuple[int, int]] = []
        judged = zip(lines, verdicts, strict=True)
        for (line, verdict), tail, near, guest, visit in zip(judged, tails, places, guests, visits_of, strict=True):
            event = line.event
            found = dedupe.find(seen, near, event.received_at, clock)
            if found is not None:
                duplicate += 1
                conflict += found.checksum != event.checksum
                continue
            if event.received_at > clock and verdict is not ForgetMode.REMOVE:  # the clock is that of stored rows
                clock = event.received_at
            place = dedupe.place(tail, event.received_at, clock)
            if place is not None:
                seen.change(place, Seen(event.received_at, event.checksum))
            if verdict is ForgetMode.REMOVE:
                erased.append((line.offset, line.line))
                continue
            if event.refund is not None:
                stamp = NO_VISIT
            else:
                session, opens = visits.join(visit, event.project_id, *guest, event.occurred_at, clock)
                stamp = _stamp(line, session, opens)
            kept.append(line)
            stamps.append(stamp)
            if event.conversion_id:
                arrival = arrival_of(event, session_id=stamp.session_id, path=stamp.path)
                messages.append(Message(event.conversion_id, encode(arrival)))

        quarantined = len(reader.letters)
        return Result(
            columns=_columns(partition, kept, stamps),
            totals=Totals(
                received=totals.received + reader.received,
                stored=totals.stored + len(kept),
                duplicate=totals.duplicate + duplicate,
                rejected=totals.rejected,
                quarantined=totals.quarantined + quarantined,
                erased=totals.erased + len(erased),
                conflict=totals.conflict + conflict,
                clock=clock,
                control_offset=reader.control_offset,
            ),
            letters=reader.letters,
            messages=messages,
            erased=erased,
            writes=self._writes(seen, visits, clock),
            dead=self._dead(totals.clock, clock),
            bad_run=reader.bad_run,
        )

    def rebuild_since(self, clock: int) -> int:
        return min(buckets.first_live(clock) * buckets.width_ms for buckets in (self._dedupe.buckets, NAMED, DERIVED))

    def rebuild(self, rows: Sequence[Stored], state: State, clock: int) -> tuple[dict[bytes, bytes], int]:
        """State writes for stored rows in log order, and the clock after them. ``state``: what earlier rows made."""
        seen: Overlay[Seen] = Overlay(Seen.unpack, Seen.pack)
        places = [self._visit_of(row, _stored_guest(row)) for row in rows]
        clocks = {clock // KNOWN_MS, *(row.received_at // KNOWN_MS for row in rows if row.received_at > clock)}
        visits = Visits(self._limits, state, places, clocks)
        for row, visit in zip(rows, places, strict=True):
            clock = max(clock, row.received_at)
            place = self._dedupe.place(_tail(row.project_id, row.event_id), row.received_at, clock)
            if place is not None:
                seen.change(place, Seen(row.received_at, row.checksum))
            session = visits.recall(visit, row.session_id, row.occurred_at, clock, opens=row.session_opens)
            if session is not None:
                shown = (
                    Source(
                        row.touch_source,
                        row.touch_medium,
                        row.touch_campaign,
                        row.touch_term,
                        row.touch_content,
                        row.touch_channel,
                    )
                    if row.touch
                    else None
                )
                announced = list(zip(row.key_kinds, row.key_values, strict=True))
                session.observe(row.occurred_at, order_of(row.event_id), shown, announced)
        return self._writes(seen, visits, clock), clock

    def _forgotten(self, lines: list[Line[RawEvent]]) -> tuple[list[Line[RawEvent]], list[ForgetMode | None]]:
        """The lines, those of forgotten persons without a name, and what becomes of each."""
        projects = {line.event.project_id for line in lines}
        if self._forgetting is None or not any(map(self._forgetting.concerns, projects)):
            return lines, [None] * len(lines)
        verdicts = [self._forgetting.verdict(line.event) for line in lines]
        found = [
            line if verdict is None else line._replace(event=nameless_event(line.event))
            for line, verdict in zip(lines, verdicts, strict=True)
        ]
        return found, verdicts

    def _visit_of(self, event: RawEvent | Stored, guest: tuple[str, str]) -> bytes:
        """Where an event's sessions are kept; those of a visitor who was forgotten are not found again."""
        place = visit_of(event.project_id, *guest)
        if self._forgetting is None:
            return place
        return place + self._forgetting.renewal(event.project_id, event.visitor, event.received_at)

    def dead_ranges(self, clock: int) -> list[tuple[bytes, bytes]]:
        """Ranges of keys that mean nothing any more at this clock."""
        return [buckets.dead_range(clock) for buckets in (self._dedupe.buckets, NAMED, DERIVED)]

    def _check(self, event: RawEvent, control_offset: int) -> None:
        check_storable(event.received_at, event.occurred_at, event.revenue)
        if event.conversion_id:
            uuid_of(event.conversion_id)
        if event.refund is not None and event.refund.conversion_id:
            uuid_of(event.refund.conversion_id)
        if not self._had_project(event.project_id, control_offset):
            raise Unreadable(Quarantine.UNKNOWN_PROJECT, "no such project as of the record's control offset")

    def _writes(self, seen: Overlay[Seen], visits: Visits, clock: int) -> dict[bytes, bytes]:
        return {**self._dedupe.buckets.live(seen.writes(), clock), **visits.writes(clock)}

    def _dead(self, before: int, after: int) -> list[tuple[bytes, bytes]]:
        """Ranges that died in this batch, if any did."""
        ranges = self.dead_ranges(after)
        return [found for found, was in zip(ranges, self.dead_ranges(before), strict=True) if found != was]


def _tail(project_id: str, event_id: bytes) -> bytes:
    """End of a key of dedupe: what must be equal for two events to be one."""
    return project_id.encode() + event_id


def _guest(event: RawEvent) -> tuple[str, str]:
    """Who the session of an event is of, and the id that the client gave it."""
    return (mailbox_of(event.visitor), "") if event.is_interaction else (event.visitor, event.session_id)


def _stored_guest(row: Stored) -> tuple[str, str]:
    """As :func:`_guest`, of a stored event."""
    if row.touch == EMAIL:
        return mailbox_of(row.visitor), ""
    return row.visitor, row.session_id if row.session_named else ""


def _stamp(line: Line[RawEvent], session: Session, opens: bool) -> Stamp:
    event = line.event
    at = event.occurred_at
    here = locate(event.url)
    touch, shown = "", None
    order = order_of(line.event_id)
    if event.event_type == "pageview":
        shown, is_campaign = evidence(here, event.referrer, event.campaign)
        if is_campaign:
            touch = Touch.CAMPAIGN.value
        elif session.begins_with(at, order):
            touch, shown = Touch.ENTRY.value, shown or DIRECT_VISIT
        else:
            shown = None
    elif event.is_interaction:
        touch, shown = EMAIL, mailed(event.mailing)
    elif event.link_id:
        shown, _ = evidence(here, event.referrer, event.campaign)
        touch, shown = Touch.CLICK.value, shown or DIRECT_VISIT
    identities = [("user", event.user_id), ("anonymous", event.anonymous_id), ("click", event.click_id)]
    if event.mailing is not NO_MAILING:
        identities.append(("contact", event.mailing.contact_id))
    # Many people's e-mail is fetched by the proxy of one mail program: that is nobody's mark.
    if event.fingerprint and touch != EMAIL:
        identities.append(("fingerprint", event.fingerprint))
    announced = session.unannounced(identities)
    session.observe(at, order, shown, announced)
    return Stamp(here.path, session.id, opens, session.source, touch, shown or UNKNOWN, announced)


def _columns(partition: int, kept: Sequence[Line[RawEvent]], stamps: Sequence[Stamp]) -> Columns:
    events = [line.event for line in kept]
    rows = list(zip(events, stamps, strict=True))
    known = [stamp.known for stamp in stamps]
    shown = [stamp.shown for stamp in stamps]
    announced = [stamp.announced for stamp in stamps]
    columns: dict[str, list[Any]] = {
        "project_id": [event.project_id for event in events],
        "event_id": [line.event_id for line in kept],
        "event_type": [event.event_type for event in events],
        "event_name": [event.event_name for event in events],
        "occurred_at": [event.occurred_at for event in events],
        "received_at": [event.received_at for event in events],
        "timed": [event.timed for event in events],
        "trust": [event.trust for event in events],
        "marks": [event.marks for event in events],
        "visitor": [event.visitor for event in events],
        "user_id": [event.user_id for event in events],
        "anonymous_id": [event.anonymous_id for event in events],
        "session_id": [stamp.session_id for stamp in stamps],
        "session_named": [
            event.session_id != "" and stamp.touch != EMAIL and event.refund is None for event, stamp in rows
        ],
        "session_opens": [stamp.opens for stamp in stamps],
        "click_id": [event.click_id for event in events],
        "fingerprint": [event.fingerprint for event in events],
        "url": [event.url for event in events],
        "path": [stamp.path for stamp in stamps],
        "referrer": [event.referrer for event in events],
        "source": [source.source for source in known],
        "medium": [source.medium for source in known],
        "campaign": [source.campaign for source in known],
        "term": [source.term for source in known],
        "content": [source.content for source in known],
        "channel": [source.channel for source in known],
        "revenue": [event.revenue for event in events],
        "currency": [event.currency for event in events],
        "order_id": [event.order_id for event in events],
        "conversion_id": [uuid_of(event.conversion_id) if event.conversion_id else NO_ID for event in events],
        "properties": [bytes(event.properties) for event in events],
        "context": [bytes(event.context) for event in events],
        "touch": [stamp.touch for stamp in stamps],
        "touch_source": [source.source for source in shown],
        "touch_medium": [source.medium for source in shown],
        "touch_campaign": [source.campaign for source in shown],
        "touch_term": [source.term for source in shown],
        "touch_content": [source.content for source in shown],
        "touch_channel": [source.channel for source in shown],
        "refund_id": ["" if event.refund is None else event.refund.refund_id for event in events],
        "refund_of": [
            uuid_of(event.refund.conversion_id) if event.refund is not None and event.refund.conversion_id else NO_ID
            for event in events
        ],
        "link_id": [event.link_id for event in events],
        "contact_id": [event.mailing.contact_id for event in events],
        "email_campaign_id": [event.mailing.campaign_id if stamp.touch == EMAIL else "" for event, stamp in rows],
        "flow_id": [event.mailing.flow_id if stamp.touch == EMAIL else "" for event, stamp in rows],
        "key_kinds": [[kind for kind, _ in keys] for keys in announced],
        "key_values": [[value for _, value in keys] for keys in announced],
        "checksum": [event.checksum for event in events],
        "kafka_partition": [partition] * len(kept),
        "kafka_offset": [line.offset for line in kept],
        "kafka_index": [line.line for line in kept],
        "version": [version(line.offset, line.line) for line in kept],
    }
    return columns
