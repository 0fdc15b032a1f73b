"""The fold of the control log, whatever is written to it."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.control import Body, ControlRecord, ControlView, Goal, GoalType, Key, KeyKind, MatchType, Project, Rate

IDS = st.sampled_from("ab")
"""Few, so that records meet."""


def bodies() -> st.SearchStrategy[Body]:
    # What an object is found by holds its id: no two objects share a site key or a digest.
    project = st.builds(lambda id, n: Project(id=id, name=n, site_key=f"site-{id}-{n}"), IDS, IDS)
    key = st.builds(
        lambda id, n: Key(id=id, project_id=n, kind=KeyKind.SECRET, digest=f"{id}-{n}", hint="", name=n), IDS, IDS
    )
    goal = st.builds(
        lambda id, n: Goal(id=id, project_id=n, name=n, type=GoalType.EVENT, match_type=MatchType.EXACT, match_value=n),
        IDS,
        IDS,
    )
    rate = st.builds(lambda id, n: Rate(id=id, project_id=n, currency="EUR", into="USD", day="", rate=n), IDS, IDS)
    return st.one_of(project, key, goal, rate)


@st.composite
def logs(draw: st.DrawFn) -> list[ControlRecord]:
    drawn = draw(
        st.lists(st.tuples(bodies(), st.sampled_from([0, 0, 1, 1, 2, 3]), st.integers(0, 4)), min_size=1, max_size=30)
    )
    return [
        ControlRecord(record_id=f"r{number}", replaces=replaces, written_at=number, body=body, deleted=chance == 0)
        for number, (body, replaces, chance) in enumerate(drawn)
    ]


def fold(records: list[ControlRecord]) -> tuple[ControlView, list[bool]]:
    view = ControlView()
    return view, [view.apply(offset, record) for offset, record in enumerate(records)]


def state(view: ControlView) -> dict[str, Any]:
    """Everything but the offset."""
    return {name: copy.deepcopy(value) for name, value in vars(view).items() if name != "offset"}


def objects(view: ControlView) -> dict[tuple[type, str], tuple[Body, int, str, bool]]:
    """What is configured, without where it stands in the log."""
    return {name: (entry.body, entry.version, entry.record_id, entry.deleted) for name, entry in view.entries.items()}


@given(logs())
def test_two_views_at_one_offset_are_equal(log: list[ControlRecord]) -> None:
    one, other = ControlView(), ControlView()
    for offset, record in enumerate(log):
        assert one.apply(offset, record) == other.apply(offset, record)
        assert vars(one) == vars(other)


@given(logs())
def test_a_loser_changes_nothing(log: list[ControlRecord]) -> None:
    view = ControlView()
    for offset, record in enumerate(log):
        before = state(view)
        if not view.apply(offset, record):
            assert state(view) == before


@given(logs())
def test_the_log_without_its_losers_says_the_same(log: list[ControlRecord]) -> None:
    view, won = fold(log)
    winners, still = fold([record for record, won_it in zip(log, won, strict=True) if won_it])

    assert all(still)
    assert objects(winners) == objects(view)


@given(logs(), st.data())
def test_a_record_written_twice_counts_once(log: list[ControlRecord], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(log) - 1))
    again = data.draw(st.integers(first + 1, len(log)))
    once, won = fold(log)
    twice, _ = fold([*log[:again], log[first], *log[again:]])

    if won[first]:
        assert objects(twice) == objects(once)


@given(logs())
def test_every_winner_is_the_next_version(log: list[ControlRecord]) -> None:
    view = ControlView()
    for offset, record in enumerate(log):
        before = view.entry(type(record.body), record.body.id)
        if view.apply(offset, record):
            after = view.entry(type(record.body), record.body.id)
            assert after is not None
            assert after.version == (before.version if before else 0) + 1
            assert (after.record_id, after.offset) == (record.record_id, offset)


@given(logs())
def test_the_indexes_are_what_the_entries_say(log: list[ControlRecord]) -> None:
    view, _ = fold(log)
    live = [entry.body for entry in view.entries.values() if not entry.deleted]

    assert view.keys_by_digest == {body.digest: body for body in live if isinstance(body, Key)}
    assert view.projects_by_site_key == {body.site_key: body for body in live if isinstance(body, Project)}
    found = {(project, id): goal for project, goals in view.goals_by_project.items() for id, goal in goals.items()}
    assert found == {(body.project_id, body.id): body for body in live if isinstance(body, Goal)}
