"""``reports/attribution`` over HTTP, over books that are filled by hand: models, states, goals, rates, exact."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import pytest
from running_api import Api, Caller, Stack, running_stack

from control.projects import NewProject
from schemas.control import Campaign, Goal, GoalType, Link, MatchType, mailing_key

PERIOD: Final = "from=2026-03-10&to=2026-03-12"
GOAL: Final = "00000001-0000-4000-8000-000000000000"
ANNA, BERT, CORA = (f"0000000{n}-0000-4000-8000-00000000000c" for n in (1, 2, 3))
MAIL: Final = "0000000a-0000-4000-8000-00000000000b"
TOUCHES: Final = {
    "google": ("cpc", "spring", "Paid Search", 0, ""),
    "bing": ("cpc", "", "Paid Search", 0, ""),
    "partner": ("referral", "", "Referral", 77, ""),
    "email": ("email", MAIL, "Email", 0, MAIL),
}


@pytest.fixture(scope="module")
def stack(kafka_bootstrap: str, clickhouse_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(kafka_bootstrap, clickhouse_server, tmp_path_factory.mktemp("attribution")) as stack:
        yield stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Api:
    return stack.api()


@pytest.fixture(scope="module")
def project(stack: Stack) -> NewProject:
    project = stack.project()
    p = project.project.id
    stack.write(
        Goal(
            id=GOAL,
            project_id=p,
            name="Big orders",
            type=GoalType.CONVERSION,
            match_type=MatchType.EXACT,
            match_value="",
        ),
        Link(id="77", project_id=p, slug="winter", destination="https://shop.example/", name="Winter sale"),
        Campaign(id=mailing_key(p, MAIL), project_id=p, name="Newsletter", created_at=1),
    )
    fill(stack, p)
    return project


def fill(stack: Stack, p: str) -> None:
    """Anna came by google, then bing; Bert by a partner's link; Cora by e-mail, and only after the period."""
    stack.sql(
        "INSERT INTO events (project_id, event_id, event_type, occurred_at, received_at, visitor, session_id, "
        "conversion_id, touch, touch_source, touch_medium, touch_campaign, touch_channel, version) VALUES "
        + ", ".join(
            f"('{p}', '{number:08}-0000-4000-8000-00000000000e', 'pageview', '{at}', '{at}', '{visitor}', 's{number}', "
            f"'00000000-0000-0000-0000-000000000000', 'campaign', '{source}', '{TOUCHES[source][0]}', "
            f"'{TOUCHES[source][1]}', '{TOUCHES[source][2]}', 9)"
            for number, (at, visitor, source) in enumerate(
                [
                    ("2026-03-10 09:00:00", "anna", "google"),
                    ("2026-03-11 09:00:00", "anna", "bing"),
                    ("2026-03-11 09:00:00", "dora", "bing"),
                    ("2026-03-12 09:00:00", "bert", "partner"),
                ]
            )
        )
    )
    stack.book(
        credits(p, ANNA, "linear", ("google", "0.5", "5.05"), ("bing", "0.5", "5.05")),
        credits(p, ANNA, "last_touch", ("bing", "1", "10.10")),
        credits(p, BERT, "linear", ("partner", "1", "7"), currency="EUR"),
        credits(p, BERT, "last_touch", ("partner", "1", "7"), currency="EUR"),
        credits(p, BERT, "last_touch", ("partner", "1", "7"), currency="EUR", scope="clicks"),
        credits(p, BERT, "last_touch", ("email", "1", "7"), currency="EUR", scope="email"),
        credits(p, CORA, "last_touch", ("email", "1", "99"), day="2026-03-13"),
        "INSERT INTO goal_definitions (run_id, run_number, project_id, goal_id, definition) "
        f"VALUES ('{{run}}', {{number}}, '{p}', '{GOAL}', 1)",
        "INSERT INTO goal_bookings (run_id, run_number, project_id, goal_id, definition, hit_id, cell, conversions) "
        f"VALUES ('{{run}}', {{number}}, '{p}', '{GOAL}', 1, '{ANNA}', '2026-03-11', 1)",
    )


def credits(
    p: str,
    conversion: str,
    model: str,
    *parts: tuple[str, str, str],
    currency: str = "USD",
    scope: str = "all",
    day: str = "2026-03-11",
    entry: str = "sale",
    cause: str = "arrival",
) -> str:
    """An insert for ``Stack.book``: (source, share, amount) of each touch."""
    rows = ", ".join(
        f"('{{run}}', {{number}}, '{cause}', '{p}', '{conversion}', '{scope}', '{model}', '{entry}', "
        f"'{sum(source.encode()):08}-0000-4000-8000-00000000000e', '{day} 08:00:00', '{day} 10:00:00', "
        f"'{day} 10:00:00', '{source}', '{medium}', '{campaign}', '{channel}', {link}, '{mail}', '{currency}', "
        f"{share}, {amount})"
        for source, share, amount in parts
        for medium, campaign, channel, link, mail in [TOUCHES[source]]
    )
    return (
        "INSERT INTO credits (run_id, run_number, cause, project_id, conversion_id, scope, model, entry, touch_id, "
        "touched_at, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, currency, "
        f"share, amount) VALUES {rows}"
    )


@pytest.fixture
def ask(api: Api, project: NewProject) -> Caller:
    return api.as_(project.secret_text)


def report(ask: Caller, project: NewProject, query: str = "", *, status: int = 200) -> Any:
    answer = ask("GET", f"/v1/projects/{project.project.id}/reports/attribution?{PERIOD}&{query}")
    assert answer.status_code == status, answer.text
    return json.loads(answer.text, parse_float=Decimal)


def money(figures: Any) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    return [(one["currency"], one["gross"], one["refunded"], one["net"]) for one in figures["revenue"]]


def figures(found: Any) -> list[tuple[Any, ...]]:
    return [(row["value"], row["conversions"], money(row)) for row in found["rows"]]


def usd(net: str, refunded: str = "0") -> tuple[str, Decimal, Decimal, Decimal]:
    return "USD", Decimal(net) + Decimal(refunded), Decimal(refunded), Decimal(net)


EUR: Final = ("EUR", Decimal(7), Decimal(0), Decimal(7))


def test_a_report_has_fractions_money_and_rates_by_source(ask: Caller, project: NewProject) -> None:
    found = report(ask, project, "model=linear")
    assert figures(found) == [
        ("partner", 1, [EUR]),
        ("bing", Decimal("0.5"), [usd("5.05")]),
        ("google", Decimal("0.5"), [usd("5.05")]),
    ]
    assert (found["totals"]["conversions"], money(found["totals"])) == (2, [EUR, usd("10.10")])
    assert found["days"] == {"from": "2026-03-10", "to": "2026-03-12", "time_zone": "UTC"}
    assert (found["dimension"], found["scope"], found["goal_id"]) == ("source", "all", None)
    bing = found["rows"][1]
    assert bing["rate_per_visitor"] == {
        "value": Decimal("0.25"),
        "numerator": "conversions",
        "denominator": "visitors",
        "denominator_count": 2,
    }
    assert (bing["rate_per_session"]["denominator"], bing["rate_per_session"]["denominator_count"]) == ("sessions", 2)
    assert found["totals"]["rate_per_visitor"]["denominator_count"] == 3
    assert found["totals"]["rate_per_session"]["value"] == Decimal("0.5")
    assert "changes" not in found
    assert "compared" not in bing


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [("bing", 1, [usd("10.10")]), ("partner", 1, [EUR])]),
        ("dimension=medium", [("cpc", 1, [usd("10.10")]), ("referral", 1, [EUR])]),
        ("dimension=channel&model=linear", [("Paid Search", 1, [usd("10.10")]), ("Referral", 1, [EUR])]),
        (
            "dimension=campaign&model=linear",
            [("", Decimal("1.5"), [EUR, usd("5.05")]), ("spring", Decimal("0.5"), [usd("5.05")])],
        ),
        ("dimension=link", [("77", 1, [EUR])]),
        ("dimension=link&scope=all", [("", 1, [usd("10.10")]), ("77", 1, [EUR])]),
        ("dimension=email_campaign", [(MAIL, 1, [EUR])]),
        ("dimension=flow", [("", 1, [EUR])]),
        ("scope=email", [("email", 1, [EUR]), ("bing", 0, []), ("google", 0, []), ("partner", 0, [])]),
        (f"goal={GOAL}", [("bing", 1, [usd("10.10")]), ("google", 0, []), ("partner", 0, [])]),
        ("model=first_touch&dimension=link", []),
    ],
)
def test_each_dimension_scope_and_goal_has_its_rows(
    ask: Caller, project: NewProject, query: str, expected: list[tuple[Any, ...]]
) -> None:
    found = [
        row for row in figures(report(ask, project, query)) if row[1] or row[0] not in ("google", "partner", "bing")
    ]
    wanted = [row for row in expected if row[1] or row[0] not in ("google", "partner", "bing")]
    assert found == wanted


def test_links_and_mailings_are_named(ask: Caller, project: NewProject) -> None:
    for dimension, name in (("link", "Winter sale"), ("email_campaign", "Newsletter")):
        (row,) = report(ask, project, f"dimension={dimension}")["rows"]
        assert (row["name"], row["rate_per_visitor"]) == (name, None)


@pytest.mark.parametrize("query", ["model=last_touch,linear", "model=last_touch&compare=linear"])
def test_two_models_are_side_by_side(ask: Caller, project: NewProject, query: str) -> None:
    found = report(ask, project, query)
    assert [column["model"] for column in found["columns"]] == ["last_touch", "linear"]
    partner, bing, google = found["rows"]
    assert (bing["conversions"], bing["compared"]["conversions"]) == (1, Decimal("0.5"))
    assert (bing["difference"]["conversions"], money(bing["difference"])) == (Decimal("-0.5"), [usd("-5.05")])
    assert (partner["difference"]["conversions"], partner["difference"]["revenue"]) == (0, [])
    assert (google["value"], google["conversions"], google["compared"]["conversions"]) == ("google", 0, Decimal("0.5"))
    assert found["totals"]["difference"] == {"conversions": 0, "revenue": []}


def test_two_states_are_compared_with_the_entries_that_explain_the_difference(stack: Stack, api: Api) -> None:
    project = stack.project()
    p, ask = project.project.id, api.as_(project.secret_text)
    stack.book(credits(p, ANNA, "last_touch", ("bing", "1", "10.10")))
    before = report(ask, project)
    then = before["columns"][0]["as_of"]["run"]
    stack.book(
        credits(p, ANNA, "last_touch", ("bing", "-1", "-10.10"), cause="touch"),
        credits(p, ANNA, "last_touch", ("google", "1", "10.10"), cause="touch"),
    )
    stack.book(credits(p, ANNA, "last_touch", ("google", "0", "-0.10"), entry="refund", cause="refund"))
    assert figures(report(ask, project)) == [("google", 1, [usd("10.00", "0.10")])]
    again = report(ask, project, f"as_of={then}")
    assert {**again, "rows": [], "totals": {}} == {**before, "rows": [], "totals": {}}
    assert figures(again) == figures(before) == [("bing", 1, [usd("10.10")])]
    assert again["rows"][0]["rate_per_visitor"] is None, "visitors are facts, and no run knows them"

    found = report(ask, project, f"as_of={then},{then + 2}")
    assert [column["as_of"]["run"] for column in found["columns"]] == [then, then + 2]
    bing, google = found["rows"]
    assert (bing["difference"]["conversions"], money(bing["difference"])) == (-1, [usd("-10.10")])
    assert (google["difference"]["conversions"], money(google["difference"])) == (1, [usd("10.00", "0.10")])
    assert found["changes"]["left_out"] == 0
    told = [
        (one["run"] - then, one["cause"], one["value"], one["entry"], one["conversions"], one["net"])
        for one in found["changes"]["entries"]
    ]
    assert told == [
        (1, "touch", "bing", "sale", -1, Decimal("-10.10")),
        (1, "touch", "google", "sale", 1, Decimal("10.10")),
        (2, "refund", "google", "refund", 0, Decimal("-0.10")),
    ]
    assert {one["conversion_id"] for one in found["changes"]["entries"]} == {ANNA}
    back = report(ask, project, f"as_of={then + 2},{then}")["changes"]["entries"]
    assert [(one["conversions"], one["net"]) for one in back] == [(-c, -n) for *_, c, n in told]
    assert report(ask, project, "as_of=0")["rows"] == []
    assert report(ask, project, "as_of=0")["columns"][0]["as_of"] == {"run": 0, "committed_at": None}
    by_time = report(ask, project, "as_of=2026-03-13T00:00:00Z")
    assert by_time["columns"][0]["as_of"]["run"] >= then + 2


def test_a_data_driven_model_is_shown_once_it_was_computed(stack: Stack, api: Api) -> None:
    project = stack.project()
    p, ask = project.project.id, api.as_(project.secret_text)
    stack.book(
        credits(p, ANNA, "linear", ("google", "0.5", "5.05"), ("bing", "0.5", "5.05")),
        credits(p, ANNA, "linear", ("google", "0", "-1"), ("bing", "0", "-1"), entry="refund"),
        credits(p, BERT, "linear", ("bing", "1", "3")),
    )
    error = report(ask, project, "model=shapley", status=409)["error"]
    assert (error["code"], error["field"]) == ("conflict", "model")
    assert f"POST /v1/projects/{p}/models" in error["message"]
    body = {"model": "shapley", "dimension": "source", "from": "2026-03-10", "to": "2026-03-12"}
    run = ask("POST", f"/v1/projects/{p}/models", json=body).json()
    found = report(ask, project, "model=linear,shapley")
    assert found["columns"][1] == {
        "model": "shapley",
        "as_of": found["columns"][0]["as_of"],
        "model_run": run["id"],
    }
    assert [(row["value"], row["compared"]["conversions"], money(row["compared"])) for row in found["rows"]] == [
        ("bing", Decimal("1.5"), [("USD", Decimal("9.825"), Decimal("1.5"), Decimal("8.325"))]),
        ("google", Decimal("0.5"), [("USD", Decimal("3.275"), Decimal("0.5"), Decimal("2.775"))]),
    ]
    assert money(found["totals"]["compared"]) == money(found["totals"]) == [usd("11.10", "2")]
    assert report(ask, project, "model=shapley&as_of=0", status=409)["error"]["code"] == "conflict"
    assert figures(report(ask, project, f"model=shapley&as_of={run['book_run']}"))[0][:2] == ("bing", Decimal("1.5"))


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("model=magic", 422, "invalid_value", "model"),
        ("model=linear,position,first_touch", 422, "invalid_value", "model"),
        ("compare=magic", 422, "invalid_value", "compare"),
        ("dimension=term", 422, "invalid_value", "dimension"),
        ("scope=some", 422, "invalid_value", "scope"),
        ("model=markov&dimension=link&scope=all", 422, "invalid_value", "dimension"),
        ("model=markov&scope=clicks", 422, "invalid_value", "scope"),
        (f"model=markov&goal={GOAL}", 422, "invalid_value", "goal"),
        ("goal=nonsense", 404, "not_found", "goal"),
        ("as_of=yesterday", 422, "invalid_value", "as_of"),
        ("as_of=999999999", 422, "invalid_value", "as_of"),
        ("as_of=2299-01-01", 422, "invalid_value", "as_of"),
        ("as_of=1,1,1", 422, "invalid_value", "as_of"),
        ("as_of=0,1&model=linear,position", 422, "invalid_value", "as_of"),
        ("period=14d", 422, "invalid_value", "period"),
        ("to=2026-03-01", 422, "invalid_value", "to"),
        ("from=x", 422, "invalid_value", "from"),
        ("time_zone=Mars/Base", 422, "invalid_value", "time_zone"),
    ],
)
def test_a_report_that_cannot_be_is_refused_by_its_field(
    ask: Caller, project: NewProject, query: str, status: int, code: str, field: str | None
) -> None:
    span = "" if any(query.startswith(name) for name in ("to=", "from=")) else f"&{PERIOD}"
    rest = "&from=2026-03-10" if query.startswith("to=") else "&to=2026-03-12" if query.startswith("from=") else ""
    answer = ask("GET", f"/v1/projects/{project.project.id}/reports/attribution?{query}{span}{rest}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("field")) == (status, code, field)


def test_days_may_be_named_by_a_period_by_both_ends_or_not_at_all(ask: Caller, project: NewProject) -> None:
    path = f"/v1/projects/{project.project.id}/reports/attribution"
    assert ask("GET", path).status_code == 200
    day = "from=2026-03-11&to=2026-03-11"
    assert ask("GET", f"{path}?{day}").json()["totals"]["conversions"] == 2
    assert ask("GET", f"{path}?{day}&time_zone=Pacific/Kiritimati").json()["totals"]["conversions"] == 0
    assert ask("GET", f"{path}?period=12mo").status_code == 200
    missing = ask("GET", f"{path}?from=2026-03-10").json()["error"]
    assert (missing["code"], missing["field"]) == ("missing_field", "to")


def test_an_attribution_is_its_tenants_alone(stack: Stack, api: Api, project: NewProject) -> None:
    stranger = stack.project()
    theirs = api.as_(stranger.secret_text)
    path = f"/v1/projects/{project.project.id}/reports/attribution"
    assert theirs("GET", path).status_code == 404
    assert theirs("GET", f"/v1/projects/{stranger.project.id}/reports/attribution?goal={GOAL}").status_code == 404
    assert report(theirs, stranger)["rows"] == []
    assert api.as_(project.public_text)("GET", path).status_code == 403
