"""``/v1/projects/{id}/models`` over HTTP: computed once for the same inputs, kept, read again, exact."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from running_api import Api, Caller, Stack, running_stack

from control.projects import NewProject

PERIOD = {"from": "2026-03-10", "to": "2026-03-12"}
TOUCHES = {"C1": "000000c1-0000-4000-8000-00000000000a", "C2": "000000c2-0000-4000-8000-00000000000a"}


@pytest.fixture(scope="module")
def stack(kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(kafka_bootstrap, clickhouse_server, tmp_path_factory.mktemp("models")) as stack:
        yield stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Api:
    return stack.api()


@pytest.fixture
def project(stack: Stack) -> NewProject:
    return stack.project()


@pytest.fixture
def ask(api: Api, project: NewProject) -> Caller:
    return api.as_(project.secret_text)


def converts(stack: Stack, p: str, number: int, path: str, amount: str, currency: str = "USD") -> None:
    """Book a conversion that came by ``path``, one letter a minute, credited by ``linear``."""
    entries = ", ".join(
        f"('{{run}}', {{number}}, '{p}', '{number:08}-0000-4000-8000-00000000000c', 'all', 'linear', "
        f"'{number:08}-{place:04}-4000-8000-00000000000a', '2026-03-11 10:{place:02}:00', '2026-03-11 11:00:00', "
        f"'2026-03-11 11:00:00', 'C{letter}', 'cpc', 'spring', 'Paid', '{currency}', {share}, {money})"
        for place, (letter, share, money) in enumerate(
            zip(path, split("1", len(path), 9), split(amount, len(path), 4), strict=True)
        )
    )
    stack.book(
        "INSERT INTO credits (run_id, run_number, project_id, conversion_id, scope, model, touch_id, touched_at, "
        f"converted_at, cell, source, medium, campaign, channel, currency, share, amount) VALUES {entries}"
    )


def split(total: str, parts: int, digits: int) -> list[Decimal]:
    """Equal parts, the rest in the last one."""
    part = (Decimal(total) / parts).quantize(Decimal(1).scaleb(-digits))
    return [part] * (parts - 1) + [Decimal(total) - part * (parts - 1)]


def comes(stack: Stack, p: str, number: int, path: str) -> None:
    """Somebody comes by ``path`` and converts not."""
    rows = ", ".join(
        f"('{p}', '{number:08}-{place:04}-4000-8000-00000000000e', 'pageview', '2026-03-11 12:{place:02}:00', "
        f"'2026-03-11 12:{place:02}:00', 'v{number}', 's{number}', '00000000-0000-0000-0000-000000000000', 'campaign', "
        f"'C{letter}', 'cpc', 'spring', 'Paid', 9)"
        for place, letter in enumerate(path)
    )
    stack.sql(
        "INSERT INTO events (project_id, event_id, event_type, occurred_at, received_at, visitor, session_id, "
        "conversion_id, touch, touch_source, touch_medium, touch_campaign, touch_channel, version) VALUES " + rows
    )


def compute(ask: Caller, project: NewProject, status: int = 201, **body: Any) -> Any:
    answer = ask("POST", f"/v1/projects/{project.project.id}/models", json={**PERIOD, **body})
    assert answer.status_code == status, answer.text
    return json.loads(answer.text, parse_float=Decimal)


def shares(run: Any) -> list[tuple[str, Decimal, Decimal, list[tuple[str, Decimal]]]]:
    return [
        (one["value"], one["weight"], one["conversions"], [(sum["currency"], sum["net"]) for sum in one["revenue"]])
        for one in run["shares"]
    ]


def test_the_published_example_is_computed_kept_and_answered_again(
    stack: Stack, ask: Caller, project: NewProject
) -> None:
    """Bryl's three paths: C1 > C2 > C3 converts, C1 and C2 > C3 do not."""
    p = project.project.id
    converts(stack, p, 1, "123", "10.00")
    comes(stack, p, 2, "1")
    comes(stack, p, 3, "23")
    run = compute(ask, project, model="markov", dimension="source")
    assert shares(run) == [
        ("C2", Decimal("0.4"), Decimal("0.4"), [("USD", Decimal("4.00"))]),
        ("C3", Decimal("0.4"), Decimal("0.4"), [("USD", Decimal("4.00"))]),
        ("C1", Decimal("0.2"), Decimal("0.2"), [("USD", Decimal("2.00"))]),
    ]
    assert (run["model"], run["order"], run["dimension"]) == ("markov", 1, "source")
    assert run["days"] == {**PERIOD, "time_zone": "UTC"}
    assert (run["conversions"], run["paths_without_conversion"]) == (1, 2)
    assert (run["cut_paths"], run["grouped_values"]) == (0, 0)
    assert len(run["inputs_hash"]) == 64

    assert compute(ask, project, 200, model="markov", dimension="source", order=1) == run
    path = f"/v1/projects/{p}/models"
    assert json.loads(ask("GET", f"{path}/{run['id']}").text, parse_float=Decimal) == run
    second = compute(ask, project, model="markov", dimension="source", order=2)
    assert (second["order"], second["inputs_hash"]) == (2, run["inputs_hash"])
    equal = compute(ask, project, model="shapley", dimension="source")
    assert equal["order"] is None
    assert [weight for _, weight, *_ in shares(equal)] == [
        Decimal("0.333333334"),
        Decimal("0.333333333"),
        Decimal("0.333333333"),
    ]
    listed = ask("GET", path).json()["data"]
    assert {one["id"] for one in listed} == {run["id"], second["id"], equal["id"]}
    assert all("shares" not in one for one in listed)
    assert [one["id"] for one in ask("GET", f"{path}?model=shapley").json()["data"]] == [equal["id"]]
    assert ask("GET", f"{path}?dimension=channel").json()["data"] == []


def test_other_inputs_make_another_run_and_the_first_one_stays(stack: Stack, ask: Caller, project: NewProject) -> None:
    p = project.project.id
    converts(stack, p, 1, "12", "0.01")
    first = compute(ask, project, model="shapley", dimension="source")
    assert shares(first) == [
        ("C1", Decimal("0.5"), Decimal("0.5"), [("USD", Decimal("0.005"))]),
        ("C2", Decimal("0.5"), Decimal("0.5"), [("USD", Decimal("0.005"))]),
    ]
    converts(stack, p, 2, "1", "7", currency="EUR")
    second = compute(ask, project, model="shapley", dimension="source")
    assert second["id"] != first["id"]
    assert second["book_run"] > first["book_run"]
    assert shares(second) == [
        ("C1", Decimal("0.75"), Decimal("1.5"), [("EUR", Decimal("5.25")), ("USD", Decimal("0.0075"))]),
        ("C2", Decimal("0.25"), Decimal("0.5"), [("EUR", Decimal("1.75")), ("USD", Decimal("0.0025"))]),
    ]
    path = f"/v1/projects/{p}/models"
    assert json.loads(ask("GET", f"{path}/{first['id']}").text, parse_float=Decimal) == first
    assert [one["id"] for one in ask("GET", path).json()["data"]] == [second["id"], first["id"]]
    by_channel = compute(ask, project, model="markov", dimension="channel")
    assert [(value, weight) for value, weight, *_ in shares(by_channel)] == [("Paid", 1)]


def test_sums_are_the_totals_to_the_last_digit(stack: Stack, ask: Caller, project: NewProject) -> None:
    for number, path in enumerate(["1", "21", "312", "12", "1", "32", "3"], start=1):
        converts(stack, project.project.id, number, path, "0.0011")
        comes(stack, project.project.id, 100 + number, path[::-1])
    for asked in ({"model": "markov"}, {"model": "markov", "order": 2}, {"model": "shapley"}):
        run = compute(ask, project, dimension="source", **asked)
        assert sum(one["weight"] for one in run["shares"]) == 1
        assert sum(one["conversions"] for one in run["shares"]) == 7 == run["conversions"]
        assert sum(one["revenue"][0]["net"] for one in run["shares"]) == Decimal("0.0077")


def test_a_period_without_conversions_has_nothing_to_share(ask: Caller, project: NewProject) -> None:
    error = compute(ask, project, 409, model="markov", dimension="source")["error"]
    assert (error["code"], error["field"]) == ("conflict", "from")


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"model": "magic"}, 422, "invalid_value", "model"),
        ({"model": None}, 400, "wrong_type", "model"),
        ({"dimension": "term"}, 422, "invalid_value", "dimension"),
        ({"order": 0}, 422, "invalid_value", "order"),
        ({"order": 3}, 422, "invalid_value", "order"),
        ({"order": [1]}, 400, "wrong_type", "order"),
        ({"model": "shapley", "order": 1}, 422, "invalid_value", "order"),
        ({"from": "2026-03"}, 422, "invalid_value", "from"),
        ({"from": "2026-03-13"}, 422, "invalid_value", "to"),
        ({"to": 7}, 400, "wrong_type", "to"),
        ({"time_zone": "Mars/Base"}, 422, "invalid_value", "time_zone"),
    ],
)
def test_a_model_that_cannot_be_is_refused_by_its_field(
    ask: Caller, project: NewProject, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    error = compute(ask, project, status, **{"model": "markov", "dimension": "source", **change})["error"]
    assert (error["code"], error["field"]) == (code, field)


@pytest.mark.parametrize("field", ["model", "dimension", "from", "to"])
def test_a_field_that_is_missing_is_named(ask: Caller, project: NewProject, field: str) -> None:
    body = {"model": "markov", "dimension": "source", **PERIOD}
    del body[field]
    answer = ask("POST", f"/v1/projects/{project.project.id}/models", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, "missing_field", field)


def test_runs_are_their_tenants_alone(stack: Stack, api: Api, ask: Caller, project: NewProject) -> None:
    converts(stack, project.project.id, 1, "1", "1")
    run = compute(ask, project, model="markov", dimension="source")
    stranger = stack.project()
    path = f"/v1/projects/{project.project.id}/models"
    theirs = api.as_(stranger.secret_text)
    assert theirs("GET", path).status_code == 404
    assert theirs("POST", path, json={"model": "markov", "dimension": "source", **PERIOD}).status_code == 404
    assert theirs("GET", f"/v1/projects/{stranger.project.id}/models/{run['id']}").status_code == 404
    assert ask("GET", f"{path}/nonsense").status_code == 404
    assert api.as_(project.public_text)("GET", path).status_code == 403
    assert ask("GET", f"{path}?model=magic").status_code == 422
