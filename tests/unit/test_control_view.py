"""The fold of the control log, rule by rule."""

import msgspec
import pytest

from schemas.control import (
    Body,
    ControlRecord,
    ControlView,
    Destination,
    DestinationKind,
    Goal,
    GoalType,
    Key,
    KeyKind,
    Link,
    LinkGoal,
    LinkGoalType,
    MatchType,
    Project,
    Rate,
    Token,
    decode_record,
    digest,
    encode_record,
)

PROJECT = Project(id="p", name="Shop", site_key="site")
KEY = Key(id="k", project_id="p", kind=KeyKind.SECRET, digest=digest("text"), hint="te…xt")
GOAL = Goal(
    id="g", project_id="p", name="Paid", type=GoalType.CUSTOM, match_type=MatchType.EXACT, match_value="purchase"
)
LINK = Link(id="7", project_id="p", slug="sale", destination="https://shop.example/")
LINK_GOAL = LinkGoal(id="lg", project_id="p", name="Sale", goal_type=LinkGoalType.PURCHASE)
TOKEN = Token(id="t", project_id="p", goal_id="lg", digest=digest("token"), hint="to…en")
TELLING = msgspec.structs.replace(LINK_GOAL, postback_url="https://a.example/", created_at=5)
DESTINATION = Destination(
    id="d", project_id="p", name="CRM", kind=DestinationKind.POSTBACK, url="https://crm.example/", created_at=9
)
RATE = Rate(id="r", project_id="p", currency="EUR", into="USD", day="2026-01-01", rate="1.1")


def record(body: Body, replaces: int, *, deleted: bool = False) -> ControlRecord:
    return ControlRecord(record_id=f"{body.id}-{replaces}", replaces=replaces, written_at=0, body=body, deleted=deleted)


def view_of(*records: ControlRecord) -> ControlView:
    view = ControlView()
    for offset, each in enumerate(records):
        assert view.apply(offset, each)
    return view


def renamed(goal: Goal, name: str) -> Goal:
    return msgspec.structs.replace(goal, name=name)


@pytest.mark.parametrize("body", [PROJECT, KEY, GOAL, RATE, LINK, LINK_GOAL, TOKEN, DESTINATION])
def test_every_kind_survives_its_encoding(body: Body) -> None:
    assert decode_record(encode_record(record(body, 3, deleted=True))) == record(body, 3, deleted=True)


def test_the_first_to_replace_a_version_wins() -> None:
    view = view_of(record(GOAL, 0), record(renamed(GOAL, "first"), 1))

    assert not view.apply(2, record(renamed(GOAL, "second"), 1))
    found = view.goal("p", "g")
    assert found is not None
    assert found.name == "first"
    assert view.offset == 3, "a loser is passed over, not waited for"


def test_a_second_creation_loses() -> None:
    assert not view_of(record(PROJECT, 0)).apply(1, record(PROJECT, 0))


def test_a_change_of_what_was_never_made_loses() -> None:
    assert not ControlView().apply(0, record(PROJECT, 1))


@pytest.mark.parametrize("replaces", [0, 1, 2])
def test_a_deleted_id_is_never_used_again(replaces: int) -> None:
    view = view_of(record(PROJECT, 0), record(PROJECT, 1, deleted=True))

    assert not view.apply(2, record(PROJECT, replaces))
    assert view.project("p") is None


def test_a_deleted_object_is_found_by_nothing_but_its_entry() -> None:
    view = view_of(
        *(record(body, 0) for body in (PROJECT, KEY, GOAL, RATE)),
        *(record(body, 1, deleted=True) for body in (PROJECT, KEY, GOAL, RATE)),
    )

    assert view.project("p") is None
    assert view.key("text") is None
    assert view.goal("p", "g") is None
    assert not view.projects_by_site_key
    entry = view.entry(Rate, "r")
    assert entry is not None
    assert entry.deleted


def test_a_replaced_body_is_no_longer_found_by_what_it_had() -> None:
    moved = Project(id="p", name="Shop", site_key="other")
    exchanged = Key(id="k", project_id="p", kind=KeyKind.SECRET, digest=digest("new"), hint="ne…ew")
    view = view_of(record(PROJECT, 0), record(KEY, 0), record(moved, 1), record(exchanged, 1))

    assert view.projects_by_site_key == {"other": moved}
    assert view.key("text") is None
    assert view.key("new") == exchanged


def test_what_is_unknown_is_not_found() -> None:
    view = ControlView()

    assert view.project("p") is None
    assert view.key("text") is None
    assert view.goal("p", "g") is None
    assert view.entry(Project, "p") is None


def test_a_project_was_there_from_its_making_to_its_deletion() -> None:
    goals = [record(msgspec.structs.replace(GOAL, id=each), 0) for each in "xyz"]
    renewed = Project(id="p", name="Renamed", site_key="site")
    made, changed, gone = record(PROJECT, 0), record(renewed, 1), record(renewed, 2, deleted=True)
    view = view_of(goals[0], made, goals[1], changed, goals[2], gone)

    assert [view.had_project("p", offset) for offset in range(7)] == [False, False, True, True, True, True, False]
    assert not view.had_project("unknown", 6)


def test_kinds_do_not_share_ids() -> None:
    twin = Rate(id=PROJECT.id, project_id="p", currency="EUR", into="USD", day="2026-01-01", rate="1.1")
    view = view_of(record(PROJECT, 0), record(twin, 0))

    assert view.project(PROJECT.id) == PROJECT


def test_an_undecodable_record_only_moves_the_offset() -> None:
    view = view_of(record(PROJECT, 0))
    view.skip(1)

    assert view.offset == 2
    assert view.project("p") == PROJECT


def test_a_lone_surrogate_in_a_key_is_an_unknown_key() -> None:
    assert view_of(record(KEY, 0)).key("\ud800") is None


def test_a_slug_belongs_to_the_first_link_that_took_it_until_that_gives_it_up() -> None:
    view = view_of(record(PROJECT, 0), record(LINK, 0))
    second = msgspec.structs.replace(LINK, id="8")
    assert not view.apply(2, record(second, 0))
    assert view.entry(Link, "8") is None
    assert view.apply(3, record(msgspec.structs.replace(LINK, slug="other"), 1))
    assert (view.link("sale"), view.links_by_slug["other"].id) == (None, "7")
    assert view.apply(4, record(second, 0))
    assert view.links_by_slug["sale"].id == "8"
    assert not view.apply(5, record(LINK, 2)), "nor may it be taken back"
    assert view.apply(6, record(second, 1, deleted=True))
    assert view.link("sale") is None
    assert view.apply(7, record(LINK, 2))


def test_a_token_names_its_goal_until_token_goal_or_project_is_deleted() -> None:
    made = [record(PROJECT, 0), record(LINK_GOAL, 0), record(TOKEN, 0)]
    assert view_of(*made).goal_of_token("token") == LINK_GOAL
    assert view_of(*made).goal_of_token("another") is None
    for body in (PROJECT, LINK_GOAL, TOKEN):
        assert view_of(*made, record(body, 1, deleted=True)).goal_of_token("token") is None
    assert view_of(record(PROJECT, 0), record(LINK, 0), record(PROJECT, 1, deleted=True)).link("sale") is None


def test_destinations_are_the_records_and_the_goals_with_a_postback_url() -> None:
    other = msgspec.structs.replace(LINK_GOAL, id="silent")
    view = view_of(record(PROJECT, 0), record(DESTINATION, 0), record(TELLING, 0), record(other, 0))
    assert [(one.id, one.url, one.goal_id) for one in view.destinations("p")] == [
        ("lg", "https://a.example/", "lg"),
        ("d", "https://crm.example/", ""),
    ]
    assert view.destination("p", "d") == DESTINATION
    assert view.destination("p", "lg") == view.destinations("p")[0]
    assert view.destination("p", "silent") is None
    assert view.destination("p", "nothing") is None


def test_destinations_belong_to_their_project_and_end_with_it() -> None:
    view = view_of(record(PROJECT, 0), record(DESTINATION, 0), record(TELLING, 0))
    assert view.destinations("q") == []
    assert view.destination("q", "d") is None
    assert view.apply(3, record(PROJECT, 1, deleted=True))
    assert view.destinations("p") == []
    assert view.destination("p", "d") is None


def test_a_record_under_a_goals_id_says_what_becomes_of_its_postbacks() -> None:
    view = view_of(record(PROJECT, 0), record(TELLING, 0))
    implied = view.destination("p", "lg")
    assert implied is not None
    disabled = msgspec.structs.replace(implied, enabled=False, url="https://old.example/")
    assert view.apply(2, record(disabled, 0))
    found = view.destination("p", "lg")
    assert found is not None
    assert (found.enabled, found.url) == (False, "https://a.example/")
    assert view.destinations("p") == [found]
    assert view.apply(3, record(disabled, 1, deleted=True))
    assert view.destination("p", "lg") is None
    assert view.destinations("p") == []


def test_a_goal_without_a_postback_url_tells_nobody_whatever_its_record_says() -> None:
    view = view_of(record(PROJECT, 0), record(TELLING, 0))
    implied = view.destination("p", "lg")
    assert implied is not None
    assert view.apply(2, record(implied, 0))
    assert view.apply(3, record(LINK_GOAL, 1))
    assert view.destination("p", "lg") is None
    assert view.apply(4, record(TELLING, 2))
    assert view.destination("p", "lg") == implied
    assert view.apply(5, record(TELLING, 3, deleted=True))
    assert view.destinations("p") == []
