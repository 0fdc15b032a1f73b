"""Two applications on one port: each request reaches one of them, health and metrics speak for both."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from uvicorn import Config
from uvicorn.lifespan.on import LifespanOn

from deploy.composition import Composition

Messages = list[str]


def application(name: str, lived: Messages, *, ready: int = 200, starts: bool = True) -> Callable[..., Any]:
    """An ASGI application that answers with its name and notes when it starts and stops."""
    metrics = f"# TYPE headwater_{name}_things_total counter\nheadwater_{name}_things_total 1\n"
    metrics += '# TYPE headwater_control_offset gauge\nheadwater_control_offset{topic="control"} 7\n'

    async def answer(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] == "lifespan":
            await receive()
            lived.append(f"{name} starts")
            if not starts:
                await send({"type": "lifespan.startup.failed"})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
            lived.append(f"{name} stops")
            await send({"type": "lifespan.shutdown.complete"})
            return
        status = ready if scope["path"] == "/readyz" else 200
        body = metrics if scope["path"] == "/metrics" else name
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body.encode()})

    return answer


def to_ingest(method: str, path: str) -> bool:
    return method == "POST" and path == "/events"


def client(*, ingest_ready: int = 200, api_ready: int = 200) -> httpx.AsyncClient:
    both = Composition(
        application("ingest", [], ready=ingest_ready), application("api", [], ready=api_ready), to_ingest
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(both), base_url="http://headwater")


async def test_a_request_goes_to_ingest_only_if_ingest_claims_it() -> None:
    async with client() as http:
        assert (await http.post("/events")).text == "ingest"
        assert (await http.get("/events")).text == "api"
        assert (await http.post("/goals")).text == "api"


@pytest.mark.parametrize(("ingest", "api", "status"), [(200, 200, 200), (503, 200, 503), (200, 503, 503)])
async def test_it_is_ready_only_if_both_are(ingest: int, api: int, status: int) -> None:
    async with client(ingest_ready=ingest, api_ready=api) as http:
        assert (await http.get("/readyz")).status_code == status


async def test_metrics_of_both_are_one_text_without_a_sample_twice() -> None:
    async with client() as http:
        text = (await http.get("/metrics", headers={"accept": "application/openmetrics-text"})).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {(sample.name, sample.labels.get("box")) for sample in samples} == {
        ("headwater_ingest_things_total", None),
        ("headwater_api_things_total", None),
        ("headwater_control_offset", "ingest"),
        ("headwater_control_offset", "api"),
    }
    assert text.count("# TYPE headwater_control_offset gauge") == 1


async def test_both_start_and_stop_in_the_reverse_order() -> None:
    lived: Messages = []
    lifespan = lifespan_of(Composition(application("ingest", lived), application("api", lived), to_ingest))
    await lifespan.startup()
    await lifespan.shutdown()
    assert lived == ["ingest starts", "api starts", "api stops", "ingest stops"]


async def test_if_one_cannot_start_the_other_is_stopped_and_nothing_is_served() -> None:
    lived: Messages = []
    lifespan = lifespan_of(
        Composition(application("ingest", lived), application("api", lived, starts=False), to_ingest)
    )
    await lifespan.startup()
    assert lifespan.should_exit
    assert lived == ["ingest starts", "api starts", "ingest stops"]


def lifespan_of(both: Composition) -> LifespanOn:
    config = Config(both, lifespan="on", log_config=None)
    config.load()
    return LifespanOn(config)
