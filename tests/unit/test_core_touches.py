"""Where a pageview came from, by its own evidence."""

import pytest

from processors.core.locations import locate
from processors.core.sites import Category, category, known, never_a_source
from processors.core.touches import CLICK_IDS, DIRECT_VISIT, Source, evidence, mailed
from schemas.events import Campaign
from schemas.mailing import Mailing

HERE = "https://shop.example/a"


def shown(url: str = HERE, referrer: str = "", campaign: Campaign | None = None) -> Source | None:
    return evidence(locate(url), referrer, campaign)[0]


@pytest.mark.parametrize(
    ("url", "referrer", "expected"),
    [
        pytest.param(
            "?utm_source=news&utm_medium=email&utm_campaign=May+sale&utm_term=a%20b&utm_content=top",
            "https://www.google.com/",
            ("news", "email", "May sale", "a b", "top"),
            id="utm-wins-over-referrer",
        ),
        pytest.param("?utm_source=news", "", ("news", "(not set)", "", "", ""), id="no-medium"),
        pytest.param("?utm_source=&utm_campaign=x", "", ("(not set)", "(not set)", "x", "", ""), id="no-source"),
        pytest.param(
            "?utm_campaign=x", "https://www.bing.com/", ("bing", "organic", "x", "", ""), id="source-of-referrer"
        ),
        pytest.param("?utm_campaign=x&gclid=1", "", ("google", "cpc", "x", "", ""), id="source-of-click-id"),
        pytest.param("?utm_source=g&gclid=1", "", ("g", "cpc", "", "", ""), id="medium-of-click-id"),
        pytest.param("?utm_source=a&utm_source=b", "", ("a", "(not set)", "", "", ""), id="first-of-two"),
        pytest.param("?xutm_source=a", "", None, id="no-utm"),
        pytest.param("?utm_term=a", "", None, id="term-alone-is-nothing"),
        pytest.param("?gclid=", "", None, id="empty-click-id"),
        pytest.param("?fbclid=1", "", ("facebook", "social", "", "", ""), id="click-id"),
        pytest.param("?x=1&msclkid=1", "https://x.example", ("bing", "cpc", "", "", ""), id="click-id-over-referrer"),
        pytest.param("", "https://www.google.de/", ("google", "organic", "", "", ""), id="search"),
        pytest.param("", "https://l.facebook.com/l.php?u=1", ("facebook", "social", "", "", ""), id="social"),
        pytest.param("", "https://mail.google.com/", ("gmail", "email", "", "", ""), id="webmail"),
        pytest.param("", "android-app://com.google.android.gm", ("gmail", "email", "", "", ""), id="app"),
        pytest.param("", "https://www.blog.example/post", ("blog.example", "referral", "", "", ""), id="referral"),
        pytest.param("", "https://blog.shop.example/", None, id="own-site"),
        pytest.param("", "https://checkout.stripe.com/pay", None, id="payment"),
        pytest.param("", "https://www.paypal.com/", None, id="payment-www"),
        pytest.param("", "https://accounts.google.com/o", None, id="sign-in"),
        pytest.param("", "https://appleid.apple.com/", None, id="sign-in-apple"),
        pytest.param("", "", None, id="nothing"),
        pytest.param("", "not a url", None, id="odd-referrer"),
    ],
)
def test_evidence_of_a_pageview(url: str, referrer: str, expected: tuple[str, ...] | None) -> None:
    found = shown(HERE + url, referrer)
    assert (found and (found.source, found.medium, found.campaign, found.term, found.content)) == expected


def test_context_campaign_counts_where_the_url_has_no_utm() -> None:
    stated = Campaign(source="app", medium="push", name="may")
    assert shown(campaign=stated) == Source("app", "push", "may", "", "", "Mobile Push Notifications")
    found = shown(HERE + "?utm_source=url", campaign=stated)
    assert found is not None
    assert found.source == "url"
    assert shown(campaign=Campaign()) is None


@pytest.mark.parametrize("parameter", CLICK_IDS)
def test_every_click_id_is_campaign_evidence_of_its_network(parameter: str) -> None:
    found, is_campaign = evidence(locate(f"{HERE}?{parameter}=abc"), "", None)
    assert is_campaign
    assert found is not None
    assert (found.source, found.medium) == CLICK_IDS[parameter]
    assert found.channel != "Unassigned"


def test_a_referrer_is_no_campaign_evidence() -> None:
    assert evidence(locate(HERE), "https://www.google.com/", None)[1] is False


def test_direct_is_spelled_as_analysts_know_it() -> None:
    assert Source("(direct)", "(none)", "", "", "", "Direct") == DIRECT_VISIT


def test_sites_are_known_by_name_and_by_any_of_their_hosts() -> None:
    assert category("google") is category("www.google.com.br") is Category.SEARCH
    assert category("nobody.example") is None
    assert known("evilgoogle.com") is None
    assert known("search.yahoo.com") == ("yahoo", Category.SEARCH)
    assert known("mail.yahoo.com") == ("yahoo mail", Category.MAIL)
    assert not never_a_source("notstripe.com")


def test_an_interaction_with_an_email_has_the_source_email_and_the_campaign_else_the_flow() -> None:
    both = Mailing(contact_id="c", campaign_id="summer", flow_id="welcome")
    assert mailed(both) == Source("email", "email", "summer", channel="Email")
    assert mailed(Mailing(contact_id="c", flow_id="welcome")) == Source("email", "email", "welcome", channel="Email")
