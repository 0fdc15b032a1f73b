"""The control log: what can be configured, and the fold that every process applies to it.

1. A record names the version it replaces (0: it creates). If that is not the current version, a racing writer was
   first, and the record changes nothing: the first in the log wins.
2. Versions count up by one. Deleting is a version, too: an id is never used again.
3. A slug names one link of the installation: a link whose slug another has by then loses as if it had lost a race.
4. The view is a pure fold of the log: two processes at the same offset agree on everything.
"""

import hashlib
from enum import StrEnum
from typing import Final

import msgspec


class Scope(StrEnum):
    """What a secret key may do."""

    EVENTS_WRITE = "events:write"
    ANALYTICS_READ = "analytics:read"
    ANALYTICS_WRITE = "analytics:write"
    CONVERSIONS_READ = "conversions:read"
    CONVERSIONS_WRITE = "conversions:write"
    PROJECTS_ADMIN = "projects:admin"
    """Create projects and list all of them."""


ALL_SCOPES: Final = tuple(Scope)
LINK_WINDOW_DAYS: Final = 30
"""So long after a click a conversion is attributed to it, unless the goal says otherwise."""


class KeyKind(StrEnum):
    PUBLIC = "public"
    SECRET = "secret"


class GoalType(StrEnum):
    """What a goal looks at. ``pageview``, ``event`` and ``custom`` are seed S2's; the others go beyond it."""

    PAGEVIEW = "pageview"
    """Path of pageviews, without the query."""
    EVENT = "event"
    """Name of events of type ``event``."""
    CUSTOM = "custom"
    """Name of custom and of conversion events."""
    EVENT_NAME = "event_name"
    """Name, whatever the type."""
    EVENT_TYPE = "event_type"
    CONVERSION = "conversion"
    """Any conversion."""


class MatchType(StrEnum):
    EXACT = "exact"
    CONTAINS = "contains"
    REGEX = "regex"
    """RE2, searched for anywhere, case-sensitive."""


class Project(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="project"):
    """A tenant."""

    id: str
    name: str
    site_key: str
    """Names the project in seed S2's paths. Not a secret."""
    time_zone: str = "UTC"
    """IANA name; the days of reports."""
    lookback_days: int | None = None
    """None: the installation's default."""
    created_at: int = 0
    """ms"""


class Key(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="key"):
    """An API key, stored as the SHA-256 of its text (256 random bits need no slow hash)."""

    id: str
    project_id: str
    kind: KeyKind
    digest: str
    hint: str
    """First and last characters, for lists."""
    name: str = ""
    scopes: tuple[Scope, ...] = ()
    created_at: int = 0


class Goal(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="goal"):
    """What counts as a conversion (seed S2)."""

    id: str
    project_id: str
    name: str
    type: GoalType
    match_type: MatchType
    match_value: str
    currency: str | None = None
    definition: int = 1
    """Counts up when a match field changes: bookings belong to a definition."""
    created_at: int = 0


class LinkGoalType(StrEnum):
    """What a conversion of a link is (seed S1): the ``kind`` of the conversions that its goal's token reports."""

    PURCHASE = "purchase"
    SIGNUP = "signup"
    DOWNLOAD = "download"
    CUSTOM = "custom"


class Link(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="link"):
    """A short address that sends its visitors on and records each of them (seed S1)."""

    id: str
    """Decimal digits of a positive integer below 2**53: answers print it as a JSON number."""
    project_id: str
    slug: str
    """``/l/{slug}``. Of two links with one slug the first in the log has it; a deleted link gives it up."""
    destination: str
    name: str = ""
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_term: str = ""
    utm_content: str = ""
    created_at: int = 0


class LinkGoal(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="link_goal"):
    """What a postback reports (seed S1): a type of conversion, its defaults and its attribution window."""

    id: str
    project_id: str
    name: str
    goal_type: LinkGoalType
    value: str | None = None
    """Value of a conversion that states none. Exact decimal as text."""
    currency: str | None = None
    postback_url: str | None = None
    window_days: int = LINK_WINDOW_DAYS
    created_at: int = 0


class Token(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="token"):
    """A postback token of a goal, stored like a key: as its SHA-256."""

    id: str
    project_id: str
    goal_id: str
    digest: str
    hint: str
    created_at: int = 0


class Rate(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="rate"):
    """Exchange rate of one day: 1 ``currency`` = ``rate`` ``into``. Exact decimal as text."""

    id: str
    project_id: str
    currency: str
    into: str
    day: str
    rate: str


class Campaign(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="campaign"):
    """An e-mail campaign (seed S3), named by a client."""

    id: str
    """:func:`mailing_key`"""
    project_id: str
    name: str
    created_at: int = 0


class Flow(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="flow"):
    """An automated series of e-mails (seed S3), named by a client."""

    id: str
    """:func:`mailing_key`"""
    project_id: str
    name: str
    created_at: int = 0


class ForgetMode(StrEnum):
    """What becomes of a forgotten person's conversions and events."""

    ANONYMIZE = "anonymize"
    """They stay in every total, and belong to nobody."""
    REMOVE = "remove"
    """They are taken out of every total."""


CHECK: Final = "check"


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="forgotten"):
    """A person's request to be forgotten: what was received before it is theirs no more, also when it is replayed."""

    id: str
    project_id: str
    mode: ForgetMode
    requested_at: int
    """ms"""
    given: tuple[str, ...]
    """Keyed hashes of the identities that the request names: :mod:`control.identities`."""
    identities: tuple[str, ...] = ()
    """Those of all identities that were found to be this person's alone."""
    check: str = ""
    """Keyed hash of the id, of the kind ``CHECK``: who has another secret can match nobody, and must find out."""

    @property
    def resolved(self) -> bool:
        """Whether the identities have been found."""
        return bool(self.identities)


class DestinationKind(StrEnum):
    """Who is told of conversions."""

    POSTBACK = "postback"
    """A server of the project's: seed S1's body, signed."""
    META = "meta"
    """Meta's Conversions API."""
    GOOGLE = "google"
    """Google's enhanced conversions."""


class Consent(StrEnum):
    """Which conversions a destination may be told of, by what the visitor is known to have consented to."""

    NOT_REQUIRED = "not_required"
    IF_GRANTED = "if_granted"
    """Only where consent is stated."""
    UNLESS_DENIED = "unless_denied"


class Destination(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="destination"):
    """Who is told of a project's conversions, and how.

    A link goal with a postback URL is a destination without any record (:meth:`ControlView.destination`); it gets one,
    under the goal's id, once something about it is changed.
    """

    id: str
    project_id: str
    name: str
    kind: DestinationKind
    url: str = ""
    """postback: where to. The others: base URL instead of the platform's own (tests, proxies), empty for that."""
    goal_id: str = ""
    """Link goal whose postback URL this is: only conversions of that goal. Empty: all conversions of the project."""
    secret: str = ""
    """Signing secret or access token, sealed under the installation's secret. Empty: derived from that."""
    options: dict[str, str] = {}
    """meta: pixel_id, test_event_code, api_version; google: customer_id, conversion_action, .."""
    consent: Consent = Consent.NOT_REQUIRED
    events: tuple[str, ...] = ()
    """Kinds of conversions to tell of; empty: all."""
    enabled: bool = True
    disabled_reason: str = ""
    """Why it is not enabled: what an operator wrote, or the run of failures that ended it."""
    created_at: int = 0


Body = Project | Key | Goal | Rate | Link | LinkGoal | Token | Campaign | Flow | Destination | Forgotten


class ControlRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the log."""

    record_id: str
    """Made by the writer, to find out whether its record won."""
    replaces: int
    """Version this record replaces; 0 creates."""
    written_at: int
    body: Body
    deleted: bool = False


class Entry(msgspec.Struct, frozen=True):
    """Current state of one object."""

    body: Body
    version: int
    record_id: str
    offset: int
    deleted: bool = False
    created: int = 0
    """Offset of its first version."""


_NOBODY: Final[dict[str, Forgotten]] = {}


class ControlView:
    """The fold of the log up to ``offset`` (exclusive): the next offset to apply."""

    def __init__(self) -> None:
        self.offset = 0
        self.entries: dict[tuple[type, str], Entry] = {}
        self.keys_by_digest: dict[str, Key] = {}
        self.projects_by_site_key: dict[str, Project] = {}
        self.goals_by_project: dict[str, dict[str, Goal]] = {}
        self.links_by_slug: dict[str, Link] = {}
        self.links_by_project: dict[str, dict[str, Link]] = {}
        self.link_goals_by_project: dict[str, dict[str, LinkGoal]] = {}
        self.tokens_by_digest: dict[str, Token] = {}
        self.forgotten_by_project: dict[str, dict[str, Forgotten]] = {}
        self.destinations_by_project: dict[str, dict[str, Destination]] = {}

    def apply(self, offset: int, record: ControlRecord) -> bool:
        """Apply the record at ``offset``; False if it lost a race and changed nothing."""
        self.offset = offset + 1
        kind = type(record.body)
        current = self.entries.get((kind, record.body.id))
        if (current.version if current else 0) != record.replaces or (current is not None and current.deleted):
            return False
        if isinstance(record.body, Link) and not record.deleted and self._slug_taken(record.body):
            return False
        self.entries[kind, record.body.id] = Entry(
            record.body,
            record.replaces + 1,
            record.record_id,
            offset,
            record.deleted,
            current.created if current else offset,
        )
        if current is not None:
            self._unindex(current.body)
        if not record.deleted:
            self._index(record.body)
        return True

    def skip(self, offset: int) -> None:
        """Pass over a record that no reader of this version understands."""
        self.offset = offset + 1

    def _index(self, body: Body) -> None:
        match body:
            case Key():
                self.keys_by_digest[body.digest] = body
            case Project():
                self.projects_by_site_key[body.site_key] = body
            case Goal():
                self.goals_by_project.setdefault(body.project_id, {})[body.id] = body
            case Link():
                self.links_by_slug[body.slug] = body
                self.links_by_project.setdefault(body.project_id, {})[body.id] = body
            case LinkGoal():
                self.link_goals_by_project.setdefault(body.project_id, {})[body.id] = body
            case Token():
                self.tokens_by_digest[body.digest] = body
            case Forgotten():
                known = self.forgotten_by_project.get(body.project_id, {})
                # A dictionary of its own: stages read the old one meanwhile.
                self.forgotten_by_project[body.project_id] = {**known, body.id: body}
            case Destination():
                self.destinations_by_project.setdefault(body.project_id, {})[body.id] = body
            case _:
                pass  # the others are found by their id only

    def _unindex(self, body: Body) -> None:
        """Forget the body that is replaced: what it was found by may not be what its successor is found by."""
        match body:
            case Key():
                self.keys_by_digest.pop(body.digest, None)
            case Project():
                self.projects_by_site_key.pop(body.site_key, None)
            case Goal():
                self.goals_by_project[body.project_id].pop(body.id, None)
            case Link():
                self.links_by_slug.pop(body.slug, None)
                self.links_by_project[body.project_id].pop(body.id, None)
            case LinkGoal():
                self.link_goals_by_project[body.project_id].pop(body.id, None)
            case Token():
                self.tokens_by_digest.pop(body.digest, None)
            case Destination():
                self.destinations_by_project[body.project_id].pop(body.id, None)
            case _:
                pass  # the others are found by their id only

    def entry(self, kind: type[msgspec.Struct], id: str) -> Entry | None:
        """The object's current state, also if it was deleted."""
        return self.entries.get((kind, id))

    def project(self, project_id: str) -> Project | None:
        found = self.entries.get((Project, project_id))
        if found is None or found.deleted or not isinstance(found.body, Project):
            return None
        return found.body

    def had_project(self, project_id: str, offset: int) -> bool:
        """Whether the project was there as of ``offset``, whatever the log says later. ``offset`` <= ours."""
        found = self.entries.get((Project, project_id))
        return found is not None and found.created < offset and not (found.deleted and found.offset < offset)

    def key(self, text: str) -> Key | None:
        """The key with this text, unless it was revoked."""
        return self.keys_by_digest.get(digest(text))

    def goal(self, project_id: str, goal_id: str) -> Goal | None:
        return self.goals_by_project.get(project_id, {}).get(goal_id)

    def link(self, slug: str) -> Link | None:
        """The link with this slug, unless it or its project was deleted."""
        found = self.links_by_slug.get(slug)
        return found if found is not None and self.project(found.project_id) is not None else None

    def link_goal(self, project_id: str, goal_id: str) -> LinkGoal | None:
        return self.link_goals_by_project.get(project_id, {}).get(goal_id)

    def goal_of_token(self, text: str) -> LinkGoal | None:
        """The goal whose token this is, unless token, goal or project were deleted."""
        token = self.tokens_by_digest.get(digest(text))
        if token is None or self.project(token.project_id) is None:
            return None
        return self.link_goal(token.project_id, token.goal_id)

    def forgotten(self, project_id: str) -> dict[str, Forgotten]:
        """The project's requests to forget, by id. Never changed in place."""
        return self.forgotten_by_project.get(project_id, _NOBODY)

    def destinations(self, project_id: str) -> list[Destination]:
        """The project's destinations, oldest first: its records, and its link goals with a postback URL."""
        if self.project(project_id) is None:
            return []
        known = [
            *map(self._addressed, self.destinations_by_project.get(project_id, {}).values()),
            *map(self._implied, self.link_goals_by_project.get(project_id, {}).values()),
        ]
        return sorted((one for one in known if one is not None), key=lambda one: (one.created_at, one.id))

    def destination(self, project_id: str, destination_id: str) -> Destination | None:
        """The destination, unless it or its project was deleted."""
        if self.project(project_id) is None:
            return None
        record = self.destinations_by_project.get(project_id, {}).get(destination_id)
        if record is not None:
            return self._addressed(record)
        goal = self.link_goal(project_id, destination_id)
        return None if goal is None else self._implied(goal)

    def _addressed(self, record: Destination) -> Destination | None:
        """The destination of a record: a goal's has the address that the goal has now, and ends with it."""
        if not record.goal_id:
            return record
        goal = self.link_goal(record.project_id, record.goal_id)
        if goal is None or not goal.postback_url:
            return None
        return msgspec.structs.replace(record, url=goal.postback_url)

    def _implied(self, goal: LinkGoal) -> Destination | None:
        """The destination that a goal's postback URL makes where no record says otherwise."""
        if not goal.postback_url or (Destination, goal.id) in self.entries:
            return None
        return Destination(
            id=goal.id,
            project_id=goal.project_id,
            name=goal.name,
            kind=DestinationKind.POSTBACK,
            url=goal.postback_url,
            goal_id=goal.id,
            created_at=goal.created_at,
        )

    def _slug_taken(self, link: Link) -> bool:
        holder = self.links_by_slug.get(link.slug)
        return holder is not None and holder.id != link.id


def mailing_key(project_id: str, id: str) -> str:
    """Id of the record of a project's campaign or flow: clients choose ids, and two projects may choose the same."""
    return f"{project_id}/{id}"


def digest(text: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


encode_record = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(ControlRecord).decode
