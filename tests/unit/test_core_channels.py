"""The channel table, row by row, against the definitions it cites."""

import pytest

from processors.core.channels import RULES, UNASSIGNED, channel_of

EXAMPLES = [
    ("(direct)", "(none)", "", "Direct"),
    ("(direct)", "(not set)", "", "Direct"),
    ("google", "cpc", "Cross-network summer", "Cross-network"),
    ("amazon.com", "cpc", "", "Paid Shopping"),
    ("newsite", "ppc", "spring shop", "Paid Shopping"),
    ("google", "cpc", "", "Paid Search"),
    ("Google", "PPC", "", "Paid Search"),
    ("www.bing.com", "paid-search", "", "Paid Search"),
    ("facebook", "cpc", "", "Paid Social"),
    ("m.facebook.com", "paid_social", "", "Paid Social"),
    ("linkedin", "retargeting", "", "Paid Social"),
    ("youtube.com", "cpv,cpc", "", "Paid Video"),
    ("news.example", "banner", "", "Display"),
    ("dfa", "cpm", "", "Display"),
    ("partner", "cpa", "", "Paid Other"),
    ("etsy.com", "referral", "", "Organic Shopping"),
    ("newsletter", "x", "workshop", UNASSIGNED),
    ("t.co", "referral", "", "Organic Social"),
    ("anything", "social-media", "", "Organic Social"),
    ("vimeo", "referral", "", "Organic Video"),
    ("anything", "outstream video", "", "Organic Video"),
    ("duckduckgo", "organic", "", "Organic Search"),
    ("www.google.co.uk", "referral", "", "Organic Search"),
    ("anything", "organic", "", "Organic Search"),
    ("blog.example", "referral", "", "Referral"),
    ("newsletter", "Email", "", "Email"),
    ("e-mail", "x", "", "Email"),
    ("partner", "affiliate", "", "Affiliates"),
    ("podcast", "audio", "", "Audio"),
    ("sms", "x", "", "SMS"),
    ("x", "sms", "", "SMS"),
    ("x", "webpush", "", "Mobile Push Notifications"),
    ("x", "in-app notification", "", "Mobile Push Notifications"),
    ("x", "mobile", "", "Mobile Push Notifications"),
    ("firebase", "x", "", "Mobile Push Notifications"),
    ("x", "y", "z", UNASSIGNED),
    ("", "", "", UNASSIGNED),
]


@pytest.mark.parametrize(("source", "medium", "campaign", "channel"), EXAMPLES)
def test_a_visit_is_in_the_channel_that_ga4_defines(source: str, medium: str, campaign: str, channel: str) -> None:
    assert channel_of(source, medium, campaign) == channel


def test_every_rule_has_an_example_and_a_definition() -> None:
    assert {rule.channel for rule in RULES} == {channel for *_, channel in EXAMPLES} - {UNASSIGNED}
    assert all(rule.definition for rule in RULES)
