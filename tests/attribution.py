"""The twin of ``clickhouse/bookings``: who gets credit for each conversion, in plain loops over all events.

It shares no code with the SQL. Sessions must be named by the client; events may come in any order, each id counts once.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from schemas.events import RawEvent

DAY_MS: Final = 86_400_000
RANKS: Final = {"click": 1, "session": 2, "user": 3, "contact": 4, "anonymous": 5, "fingerprint": 6}
NO_TOUCH: Final = "00000000-0000-0000-0000-000000000000"

Key = tuple[str, str]
"""(kind, value) of an identity."""


class Touch(NamedTuple):
    """Evidence of a source. Sorts by time."""

    at: int
    id: str
    kind: str
    source: str
    campaign: str = ""
    flow: str = ""
    session: str = ""
    click: str = ""
    """Id of the click it is."""


class Credit(NamedTuple):
    """What one touch gets of one conversion, under one model."""

    source: str
    matched_by: str
    share: Decimal
    amount: Decimal


Ledger = dict[tuple[str, str, str, str], Credit]
"""(conversion, scope, model, touch) -> credit"""


def ledger(
    events: Iterable[RawEvent], *, lookback_days: int = 30, email_days: int = 7, max_edges: int = 2_000
) -> Ledger:
    """All credits. Amounts are net of nothing: see ``refunds`` in the tests of refunds."""
    unique = list({event.event_id: event for event in events}.values())
    graph = _Graph(unique, max_edges)
    booked: Ledger = {}
    for id, reports in graph.orders.items():
        if not any(report.is_conversion for report in reports):
            continue
        merged = merge(reports)
        reached = graph.reach(merged)
        for scope, path in _paths(merged, reached, lookback_days, email_days):
            for model, weights in _models(path):
                amount = merged["revenue"] or Decimal(0)
                shares, amounts = _split(weights, 9, Decimal(1)), _split(weights, 4, amount)
                for (touch, matched_by), share, money in zip(path, shares, amounts, strict=True):
                    if share or money:
                        booked[id, scope, model, touch.id] = Credit(touch.source, matched_by, share, money)
    return booked


def merge(arrivals: Sequence[RawEvent]) -> Mapping[str, Any]:
    """Each field from the most trusted, then first, arrival that has it. Arrivals are in order of arrival."""
    ranked = sorted(arrivals, key=lambda arrival: arrival.trust)
    paid = next((arrival for arrival in ranked if arrival.revenue is not None), None)

    def first(name: str) -> Any:
        return next((value for arrival in ranked if (value := getattr(arrival, name))), "")

    def mailed(name: str) -> Any:
        return next((value for arrival in ranked if (value := getattr(arrival.mailing, name))), "")

    return {
        "at": ranked[0].occurred_at,
        "revenue": paid.revenue if paid else None,
        "currency": paid.currency if paid else "",
        "keys": {
            "user": first("user_id"),
            "anonymous": first("anonymous_id"),
            "session": _session(ranked[0]),
            "click": first("click_id"),
            "contact": mailed("contact_id"),
            "fingerprint": first("fingerprint"),
        },
        "campaign": mailed("campaign_id"),
        "flow": mailed("flow_id"),
        "window": mailed("attribution_window_days") or first("window_days"),
    }


class _Graph:
    """Who is who: identities, and the sessions and conversions that carry them."""

    def __init__(self, events: Sequence[RawEvent], max_edges: int) -> None:
        self.orders: dict[str, list[RawEvent]] = {}
        carried: dict[Key, set[Key]] = {}
        touches: dict[str, list[Touch]] = {}
        self._clicks: list[tuple[Touch, str]] = []
        self._mails: list[tuple[Touch, str]] = []
        for event in events:
            session = ("session", _session(event))
            carried.setdefault(session, set()).update(_identities(event))
            if event.conversion_id:
                self.orders.setdefault(event.conversion_id, []).append(event)
                carried.setdefault(("conversion", event.conversion_id), set()).update(_identities(event))
            source = event.url.partition("utm_source=")[2].partition("&")[0]
            at, id = event.occurred_at, event.event_id
            if event.event_type == "pageview":
                touch = Touch(at, id, "campaign" if source else "entry", source or "(direct)", session=_session(event))
                touches.setdefault(_session(event), []).append(touch)
            elif event.link_id:
                touch = Touch(at, id, "click", source or "(direct)", click=event.click_id)
                self._clicks.append((touch, event.fingerprint))
            elif event.event_type in ("email_open", "email_click"):
                mailing = event.mailing
                touch = Touch(at, id, "email", "email", mailing.campaign_id, mailing.flow_id)
                self._mails.append((touch, mailing.contact_id))
        self._touches = {
            session: [touch for touch in seen if touch.kind == "campaign" or touch == min(seen)]
            for session, seen in touches.items()
        }
        edges: dict[Key, set[Key]] = {}
        for carrier, keys in carried.items():
            for key in keys:
                edges.setdefault(key, set()).add(carrier)
        self._capped = {key for key, carriers in edges.items() if len(carriers) > max_edges}
        self._carried = carried
        self._carriers = edges

    def reach(self, merged: Mapping[str, Any]) -> list[tuple[Touch, str]]:
        """The touches of the conversion's person, each once, with the best identity that leads there."""
        own = {(kind, value) for kind, value in merged["keys"].items() if value} - self._capped
        session = merged["keys"]["session"]
        if session:
            own |= {key for key in self._keys_of(("session", session)) if key[0] in ("contact", "anonymous")}
        user = merged["keys"]["user"] if ("user", merged["keys"]["user"]) in own else self._user_behind(own)
        known = set(own)
        if user:
            known.add(("user", user))
            for carrier in self._carriers.get(("user", user), ()):
                known |= {
                    key
                    for key in self._keys_of(carrier)
                    if key[0] in ("contact", "anonymous") and (key in own or len(self._users(key)) < 2)
                }
        sessions: dict[str, str] = {}

        def lead(to: str, by: str) -> None:
            if to not in sessions or RANKS[by] < RANKS[sessions[to]]:
                sessions[to] = by

        if session:
            lead(session, "session")
        for key in known - {("session", session)}:
            for kind, id in self._carriers.get(key, ()):
                if kind != "session":
                    continue
                owners = {value for of, value in self._carried[kind, id] if of == "user"}
                if key[0] in ("click", "user") or not owners or user in owners:
                    lead(id, key[0])
        found: dict[Touch, str] = {}

        def take(touch: Touch, by: str) -> None:
            if touch not in found or RANKS[by] < RANKS[found[touch]]:
                found[touch] = by

        for id, by in sessions.items():
            for touch in self._touches.get(id, ()):
                take(touch, by)
        landed = set()
        for touch, fingerprint in self._clicks:
            if ("click", touch.click) in known:
                take(touch, "click")
            if fingerprint and ("fingerprint", fingerprint) in known:
                take(touch, "fingerprint")
            for id, by in sessions.items():
                if ("click", touch.click) in self._carried[("session", id)]:
                    take(touch, by)
                    if any(page.source != "(direct)" for page in self._touches.get(id, ())):
                        landed.add(touch.id)
        for touch, contact in self._mails:
            if ("contact", contact) in known:
                take(touch, "contact")
        return sorted(
            (touch._replace(session="landed") if touch.id in landed else touch, by) for touch, by in found.items()
        )

    def _keys_of(self, carrier: Key) -> set[Key]:
        return self._carried.get(carrier, set()) - self._capped

    def _users(self, key: Key) -> set[str]:
        carriers = {key} if key[0] == "session" else self._carriers.get(key, set())
        return {value for carrier in carriers for kind, value in self._carried.get(carrier, ()) if kind == "user"}

    def _user_behind(self, own: set[Key]) -> str:
        """The one user of the contact, else of the session, else of the browser."""
        for kind in ("contact", "session", "anonymous"):
            behind = sorted(next(iter(users)) for key in own if key[0] == kind and len(users := self._users(key)) == 1)
            behind = [user for user in behind if ("user", user) not in self._capped]
            if behind:
                return behind[0]
        return ""


def _session(event: RawEvent) -> str:
    """Of the client, else one of its own."""
    return event.session_id or f"of {event.event_id}"


def _identities(event: RawEvent) -> set[Key]:
    """What an event carries. A fingerprint ties clicks and conversions only where the stage says so."""
    keys = {
        ("user", event.user_id),
        ("anonymous", event.anonymous_id),
        ("click", event.click_id),
        ("contact", event.mailing.contact_id),
        ("fingerprint", event.fingerprint),
    }
    return {(kind, value) for kind, value in keys if value}


def _paths(
    merged: Mapping[str, Any], reached: Sequence[tuple[Touch, str]], lookback_days: int, email_days: int
) -> Iterable[tuple[str, list[tuple[Touch, str]]]]:
    """The touches that count in each scope, in time order."""
    at = merged["at"]
    claimed = bool(merged["campaign"] or merged["flow"])

    def inside(days: int, kinds: Sequence[str], *, landed: bool = True) -> list[tuple[Touch, str]]:
        """By fingerprint only where nothing better has a touch."""
        oldest = at - (merged["window"] or days) * DAY_MS
        some = [
            (touch, by)
            for touch, by in reached
            if touch.kind in kinds and oldest < touch.at <= at and (landed or touch.session != "landed")
        ]
        return [(touch, by) for touch, by in some if by != "fingerprint"] or some

    every = inside(lookback_days, ("entry", "campaign", "click", "email"), landed=False)
    path = [(touch, by) for touch, by in every if touch.source != "(direct)"] or every
    yield "all", path or [(Touch(at, NO_TOUCH, "", "(direct)"), "")]

    clicks = inside(lookback_days, ("click",))
    clicks = [(touch, by) for touch, by in clicks if by == "click"] or clicks
    if clicks:
        yield "clicks", clicks

    mails = inside(email_days, ("email",))
    if claimed:
        mails = [
            (touch, by)
            for touch, by in mails
            if (touch.campaign and touch.campaign == merged["campaign"])
            or (touch.flow and touch.flow == merged["flow"])
        ] or [(Touch(at, NO_TOUCH, "", "email"), "")]
    if mails:
        yield "email", mails


def _models(path: Sequence[tuple[Touch, str]]) -> Iterable[tuple[str, list[int]]]:
    """Weights of the touches, for each model."""
    n = len(path)
    newest = path[-1][0].at
    yield "last_touch", [0] * (n - 1) + [1]
    yield "first_touch", [1] + [0] * (n - 1)
    yield "linear", [1] * n
    yield "position", [1] * n if n < 3 else [2 * (n - 2)] + [1] * (n - 2) + [2 * (n - 2)]
    yield "time_decay", [round(2 ** ((touch.at - newest) / (7 * DAY_MS)) * 10**9) for touch, _ in path]


def _split(weights: Sequence[int], digits: int, whole: Decimal) -> list[Decimal]:
    """Parts of ``whole`` by weight: the cumulative sum is rounded half up to ``digits``, and differences are taken."""
    parts, reached, before = [], 0, Fraction(0)
    for weight in weights:
        reached += weight
        exact = Fraction(whole) * reached / sum(weights) * 10**digits
        now = Fraction((2 * exact.numerator + exact.denominator) // (2 * exact.denominator))
        parts.append(Decimal(int(now - before)) / 10**digits)
        before = now
    return parts
