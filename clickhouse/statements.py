"""What a run of the booker says to ClickHouse: the files of ``clickhouse/bookings``, put together.

``candidates.sql`` is a part of ``attribution.sql``, and that of the statements that book credits and of those that
explain them: what is booked and what is said about it cannot differ.
"""

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Final


def bookings_file(name: str) -> str:
    """The statement of ``clickhouse/bookings/<name>.sql``, without its header."""
    text = (resources.files("clickhouse") / "bookings" / f"{name}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


CAPPED_BEFORE: Final = "SELECT project_id, kind, key FROM v_capped_keys"
CAPPED: Final = (
    f"{CAPPED_BEFORE} UNION ALL SELECT project_id, kind, key FROM capped_keys WHERE run_id = {{run_id:UUID}}"
)
"""Keys that tie nothing together: since an earlier run, or since this one."""

LIVE: Final = (
    "SELECT run_id FROM run_live WHERE scope_id = {live_id:UUID} UNION ALL SELECT arrayJoin({live_since:Array(UUID)})"
)
"""Runs whose entries count."""

PARTS: Final = {
    "/* attribution */": bookings_file("attribution"),
    "/* candidates */": bookings_file("candidates"),
    "/* models */": bookings_file("models"),
    "/* conversion hits */": bookings_file("conversion_hits"),
    "/* capped before */": CAPPED_BEFORE,
    "/* capped */": CAPPED,
    "/* live */": LIVE,
    "/* new facts */": bookings_file("new_facts"),
    "/* new refunds */": bookings_file("new_refunds"),
}
"""What the marks of a statement stand for. A part may have marks of those below it."""


def _whole(name: str, parts: Mapping[str, str] = PARTS) -> str:
    text = bookings_file(name)
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


ATTRIBUTION: Final = _whole("attribution")


def uncapped(statement: str) -> str:
    """The statement where there are no capped keys: it need not look for them."""
    nothing = "('', '', '')"
    return statement.replace(CAPPED, nothing).replace(CAPPED_BEFORE, nothing)


REACHING: Final = ("applied_refunds", "subjects", "own_keys", "persons", "known_keys", "reach", "reach_clicks")
"""In this order: from the conversions of a run to where the touches of their persons are."""

NAMES: Final = (
    *REACHING,
    "live_runs",
    "capped_keys",
    "new_facts",
    "new_refunds",
    "edges",
    "capped_of",
    "few_arrivals",
    "few_refunds",
    "few_session_touches",
    "few_click_touches",
    "few_mail_touches",
    "few_credits",
    "weights",
    "touched",
    "hop",
    "touched_conversions",
    "project_conversions",
    "refunded_conversions",
    "goals",
    "booked_conversions",
    "target_credits",
    "changed_credits",
    "fold_goals",
    "fold_credits",
    "purge_goal_totals",
    "purge_goal_refunds",
    "purge_source_totals",
    "seal",
)


def statements(parts: Mapping[str, str] = PARTS) -> dict[str, str]:
    """All statements of the booker, of these parts."""
    few_goals = _whole("goals", {**parts, "/* conversion hits */": bookings_file("few_hits")})
    return {name: _whole(name, parts) for name in NAMES} | {"few_goals": few_goals}


STATEMENTS: Final = statements()
RULES: Final = int.from_bytes(
    hashlib.sha256("".join(STATEMENTS[name] for name in sorted(STATEMENTS)).encode()).digest()[:8], "big"
)
"""Changes with any statement: a booker that finds a head of other rules sweeps, so new rules apply to all history."""

EXPLAIN_TOUCHES: Final = _whole("explain_touches")
EXPLAIN_SHARES: Final = _whole("explain_shares")
