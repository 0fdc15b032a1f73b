"""The explanation of a conversion, over HTTP."""

import json
from decimal import Decimal
from typing import Any

from stack import Project

from schemas.ids import conversion_id

MODELS = {"last_touch", "first_touch", "linear", "position", "time_decay"}


def explained(project: Project, id: str) -> Any:
    answer = project.request("GET", f"/v1/projects/{project.id}/conversions/{id}/explain")
    return json.loads(answer.text, parse_float=Decimal) if answer.status_code == 200 else answer.status_code


def test_a_purchase_is_explained_by_its_visits_once_booked(project: Project) -> None:
    visit = {"anonymous_id": "browser", "user_id": "ann"}
    project.accept(
        [
            {
                "event_type": "pageview",
                "url": f"https://shop.example/?utm_source={source}&utm_medium=cpc",
                "session_id": source,
                **visit,
            }
            for source in ("google", "bing")
        ]
    )
    sold = {"event_type": "conversion", "event_name": "purchase", "user_id": "ann", "revenue": 10, "currency": "EUR"}
    project.accept({**sold, "order_id": "o-1"})
    project.settled(3)
    id = conversion_id(project.id, "purchase", "o-1", "")
    project.eventually(lambda: explained(project, id) != 404, True)
    project.eventually(lambda: {one["run"] > 0 for one in explained(project, id)["bookings"]}, {True})
    found = explained(project, id)
    assert (found["order_id"], found["revenue"], found["net"], found["currency"]) == ("o-1", 10, 10, "EUR")
    assert [(touch["source"], touch["included"], touch["matched_by"]) for touch in found["touches"]] == [
        ("google", True, "user"),
        ("bing", True, "user"),
    ]
    amounts: dict[str, Decimal] = {}
    for touch in found["touches"]:
        for share in touch["shares"]:
            amounts[share["model"]] = amounts.get(share["model"], Decimal(0)) + share["amount"]
    assert amounts == dict.fromkeys(MODELS, Decimal(10))
    assert {one["cause"] for one in found["bookings"]} <= {"arrival", "touch"}


def test_what_is_no_conversion_of_the_project_is_not_found(project: Project) -> None:
    for id in ("5ba2f5ae-52c5-4b5c-9a35-0b6b1d3d8f00", "no-uuid"):
        assert explained(project, id) == 404
    foreign = project.stack.project()
    path = f"/v1/projects/{project.id}/conversions/5ba2f5ae-52c5-4b5c-9a35-0b6b1d3d8f00/explain"
    assert project.request("GET", path, key=foreign.secret_key).status_code == 404
    assert project.request("GET", path, key=project.public_key).status_code == 403
