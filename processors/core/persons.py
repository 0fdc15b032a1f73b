"""Which identities a conversion's person has, and where the touches of that person are found.

The same rules as ``own_keys.sql``, ``persons.sql``, ``known_keys.sql``, ``reach.sql`` and ``reach_clicks.sql``, which
suit many conversions; ClickHouse takes longer to read those statements than it takes to apply them to a few. A property
test compares the two.

1. Own identities are those that the reports name, and the contacts and browsers of the session that they name.
2. The user is the one named, else the one user of the contact, else of the session, else of the browser. Two users on
   one device or address are never merged: such a key names nobody.
3. Known are the other contacts and browsers of that user. One that several users share leads nowhere; an own one does.
4. A session that belongs to other users only is never reached by contact, browser or fingerprint.
5. What several identities lead to is matched by the best of them.
6. Capped keys are nobody's.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

BY_RANK: Final = ("", "click", "session", "user", "contact", "anonymous", "fingerprint")
"""The best first. At 0 none: what stands for no touch is matched by nothing."""
RANKS: Final[Mapping[str, int]] = {kind: rank for rank, kind in enumerate(BY_RANK)}
CARRIERS: Final = ("session", "conversion")
SHAREABLE: Final = ("contact", "anonymous")
"""What several users may have in common."""
PLACES: Final = ("session", "contact", "fingerprint")
"""Identities that touches are found by themselves."""


class Key(NamedTuple):
    """An identity, session or conversion of a project."""

    project_id: str
    kind: str
    key: str


Edges = Mapping[Key, Collection[Key]]
"""What an identity is carried by and what a carrier carries. Keys without edges may be missing."""


class Person(NamedTuple):
    """The identities of a conversion's person."""

    own: frozenset[Key]
    user: Key | None
    known: frozenset[Key]


class Way(NamedTuple):
    """How a place is reached: the lower the rank the better."""

    rank: int
    landed: bool = False
    """A click whose landing session shows a source: that touch stands for both."""

    @property
    def matched_by(self) -> str:
        """Kind of the identity that leads there."""
        return BY_RANK[self.rank]


def person_of(named: Iterable[Key], edges: Edges, capped: Collection[Key]) -> Person:
    """Rules 1 to 3 and 6, for the identities that the reports of a conversion name."""
    own = set(named)
    for session in [key for key in own if key.kind == "session"]:
        own.update(_carried(session, edges, SHAREABLE))
    own.difference_update(capped)
    user = next((key for key in own if key.kind == "user"), None) or _user_behind(own, edges, capped)
    known: set[Key] = set()
    if user is not None:
        for carrier in _carried(user, edges, CARRIERS):
            known.update(_carried(carrier, edges, SHAREABLE))
        known.difference_update(own, capped)
    return Person(frozenset(own), user, frozenset(known))


def reach(person: Person, edges: Edges) -> dict[Key, Way]:
    """Rules 3 to 5: sessions, contacts and fingerprints where touches of the person are."""
    ways: dict[Key, Way] = {}
    behind = () if person.user is None else (person.user,)
    for key in {*person.own, *behind, *person.known}:
        if key in person.known and len(_users(key, edges)) > 1:
            continue
        for place in _places(key, person.user, edges):
            way = Way(RANKS[key.kind])
            ways[place] = min(ways.get(place, way), way)
    return ways


def clicks(person: Person, ways: Mapping[Key, Way], edges: Edges, telling: Collection[Key]) -> dict[Key, Way]:
    """The clicks that the conversion names or that led into sessions reached. ``telling``: sessions with a source."""
    found = {key: Way(RANKS["click"]) for key in person.own if key.kind == "click"}
    for session, way in ways.items():
        if session.kind == "session":
            for click in _carried(session, edges, ("click",)):
                before = found.get(click, way)
                found[click] = Way(min(before.rank, way.rank), before.landed or session in telling)
    return found


def _carried(key: Key, edges: Edges, kinds: Collection[str]) -> Iterator[Key]:
    return (end for end in edges.get(key, ()) if end.kind in kinds)


def _users(key: Key, edges: Edges) -> set[Key]:
    """Of a session, its own; of another identity, those of all that carries it."""
    carriers = (key,) if key.kind in CARRIERS else tuple(_carried(key, edges, CARRIERS))
    return {user for carrier in carriers for user in _carried(carrier, edges, ("user",))}


def _user_behind(own: Collection[Key], edges: Edges, capped: Collection[Key]) -> Key | None:
    """Rule 2."""
    for kind in ("contact", "session", "anonymous"):
        alone = [users for key in own if key.kind == kind and len(users := _users(key, edges)) == 1]
        users = set[Key]().union(*alone).difference(capped)
        if users:
            return min(users)
    return None


def _places(key: Key, user: Key | None, edges: Edges) -> Iterator[Key]:
    if key.kind in PLACES:
        yield key
    if key.kind != "session":
        for session in _carried(key, edges, ("session",)):
            owners = _users(session, edges)
            if key.kind in ("click", "user") or not owners or user in owners:
                yield session
