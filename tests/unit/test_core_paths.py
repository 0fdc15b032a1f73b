"""Which touches count for a conversion, in each scope."""

from typing import Any

import pytest

from processors.core.cases import NO_ID, Case, Step
from processors.core.paths import Found, Touch, of_session, paths
from processors.core.persons import RANKS, Way
from processors.core.sessions import DAY_MS

NOW = 100 * DAY_MS
CASE = Case("p", "c", NOW, NOW - 30 * DAY_MS, NOW - 7 * DAY_MS, "", "", (), "USD", (Step("sale", NO_ID, NOW, 0, 1),))


def found(
    source: str,
    *,
    days: float = 1,
    kind: str = "campaign",
    by: str = "user",
    id: str = "",
    landed: bool = False,
    **touch: Any,
) -> Found:
    """A touch so many days before the conversion."""
    at = NOW - round(days * DAY_MS)
    return Found(Touch(at, id or source, kind, source, "cpc", "", "", **touch), Way(RANKS[by], landed))


def sources(*touches: Found, case: Case = CASE) -> dict[str, list[str]]:
    """Of each scope, in time order."""
    return {scope: [one.touch.source for one in path] for scope, path in paths(case, touches)}


def test_touches_count_in_time_order_inside_the_window_and_up_to_the_conversion() -> None:
    touches = [found("new", days=0), found("old", days=29.9), found("too old", days=30), found("after", days=-0.1)]
    assert sources(*touches) == {"all": ["old", "new"]}


def test_a_late_entry_never_counts() -> None:
    assert sources(found("was first", late=True)) == {"all": ["(direct)"]}


def test_direct_visits_count_only_where_no_source_is_known() -> None:
    assert sources(found("(direct)", id="1"), found("google", days=2)) == {"all": ["google"]}
    assert sources(found("(direct)", id="1"), found("(direct)", id="2", days=2)) == {"all": ["(direct)", "(direct)"]}


def test_where_nothing_counts_all_is_direct() -> None:
    ((scope, (one,)),) = paths(CASE, ())
    assert (scope, one.touch, one.way.matched_by) == (
        "all",
        Touch(NOW, NO_ID, "", "(direct)", "(none)", "", "Direct"),
        "",
    )


def test_a_fingerprint_counts_only_where_nothing_better_has_a_touch() -> None:
    weak = found("poster", by="fingerprint", kind="click")
    assert sources(weak, found("google")) == {"all": ["google"], "clicks": ["poster"]}
    assert sources(weak) == {"all": ["poster"], "clicks": ["poster"]}


def test_a_click_that_landed_counts_among_clicks_alone() -> None:
    landed = found("newsletter", kind="click", id="click", landed=True)
    assert sources(landed, found("newsletter", id="page")) == {"all": ["newsletter"], "clicks": ["newsletter"]}
    assert sources(landed) == {"all": ["(direct)"], "clicks": ["newsletter"]}


def test_among_clicks_the_one_named_beats_all_others() -> None:
    touches = [found("named", days=3, kind="click", by="click"), found("other", kind="click")]
    assert sources(*touches)["clicks"] == ["named"]


def test_e_mails_have_a_window_of_their_own() -> None:
    assert sources(found("email", kind="email", days=6.9))["email"] == ["email"]
    assert "email" not in sources(found("email", kind="email", days=7))


@pytest.mark.parametrize("claim", [{"campaign_id": "spring"}, {"flow_id": "welcome"}])
def test_a_claim_credits_its_own_interactions_or_itself(claim: dict[str, str]) -> None:
    case = CASE._replace(**claim)
    named = {"campaign_id": "email_campaign_id"}
    own = {named.get(name, name): value for name, value in claim.items()}
    mine, other = (
        found("mine", kind="email", **own),
        found("other", kind="email", email_campaign_id="autumn", flow_id="x"),
    )
    assert sources(mine, other, case=case)["email"] == ["mine"]
    ((_, _), (scope, (one,))) = paths(case, [other])
    assert (scope, one.touch.campaign, one.touch.id) == ("email", *claim.values(), NO_ID)
    assert (one.touch.email_campaign_id, one.touch.flow_id) == (case.campaign_id, case.flow_id)


def test_a_touch_found_in_two_ways_counts_once_the_better_way() -> None:
    both = [found("poster", kind="click", by="fingerprint"), found("poster", kind="click", by="contact")]
    assert [[one.way.matched_by for one in path] for _, path in paths(CASE, both)] == [["contact"], ["contact"]]


def test_touches_of_one_time_are_in_the_order_of_the_second_half_of_their_ids() -> None:
    first, second = "ffffffff-ffff-4fff-8000-000000000000", "00000000-0000-4000-9000-000000000000"
    assert sources(found("second", id=second), found("first", id=first))["all"] == ["first", "second"]


def test_an_entry_is_late_unless_it_is_the_first_touch_of_its_session() -> None:
    at = [found(str(n), days=-n, kind=kind).touch for n, kind in enumerate(["entry", "campaign", "entry"])]
    assert [touch.late for touch in of_session(reversed(at))] == [False, False, True]
