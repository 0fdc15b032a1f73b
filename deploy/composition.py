"""Two ASGI applications on one port: ingest and the read API, which know nothing of each other.

1. What ``to_ingest`` claims goes to ingest, all else to the API.
2. ``/livez`` and ``/readyz`` answer 200 only if both would.
3. ``/metrics`` is the metrics of both; a metric that both have gets a label ``box`` that tells them apart.
4. Both start before the first request, and stop in the reverse order; if one cannot start, neither does.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from uvicorn.lifespan.on import LifespanOn

Message = dict[str, Any]
Scope = dict[str, Any]
Application = Callable[..., Any]

HEALTH: Final = frozenset({"/livez", "/readyz"})
METRICS: Final = "/metrics"


class Composition:
    """The ASGI application made of both."""

    def __init__(self, ingest: Application, api: Application, to_ingest: Callable[[str, str], bool]) -> None:
        self._ingest = ingest
        self._api = api
        self._to_ingest = to_ingest

    async def __call__(self, scope: Scope, receive: Application, send: Application) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] in HEALTH:
            ingest, api = await self._ask_both(scope, receive)
            await (api if ingest.status == 200 else ingest).pass_on(send)
        elif scope["path"] == METRICS:
            await merged(*await self._ask_both(scope, receive)).pass_on(send)
        elif self._to_ingest(scope["method"], scope["path"]):
            await self._ingest(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    async def _live(self, receive: Application, send: Application) -> None:
        await receive()
        started: list[LifespanOn] = []
        for application in (self._ingest, self._api):
            config = uvicorn.Config(application, lifespan="on", log_config=None)
            config.load()
            lifespan = LifespanOn(config)
            await lifespan.startup()
            if lifespan.should_exit:
                # The server leaves as soon as it hears of the failure, so this is said last.
                await _stop(started)
                await send({"type": "lifespan.startup.failed", "message": "an application could not start"})
                return
            started.append(lifespan)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await _stop(started)
        await send({"type": "lifespan.shutdown.complete"})

    async def _ask_both(self, scope: Scope, receive: Application) -> tuple["Answer", "Answer"]:
        # Without what could make an answer anything but plain text.
        headers = [(name, value) for name, value in scope["headers"] if not name.startswith(b"accept")]
        answers = []
        for application in (self._ingest, self._api):
            answer = Answer()
            await application({**scope, "headers": headers}, receive, answer.take)
            answers.append(answer)
        return answers[0], answers[1]


class Answer:
    """A whole response, kept instead of sent."""

    def __init__(self, status: int = 500, body: bytes = b"", content_type: str = "text/plain") -> None:
        self.status = status
        self.headers: list[tuple[bytes, bytes]] = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        self.body = body

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def pass_on(self, send: Application) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


async def _stop(started: list[LifespanOn]) -> None:
    for lifespan in reversed(started):
        await lifespan.shutdown()


def merged(ingest: Answer, api: Answer) -> Answer:
    """One answer with the metrics of two; the one that failed, if one did."""
    for answer in (ingest, api):
        if answer.status != 200:
            return answer
    both = _Both({"ingest": ingest.body.decode(), "api": api.body.decode()})
    return Answer(200, generate_latest(both), CONTENT_TYPE_PLAIN_0_0_4)


class _Both(CollectorRegistry):
    """The metrics of several texts."""

    def __init__(self, texts: dict[str, str]) -> None:
        super().__init__()
        self._families = {box: list(text_string_to_metric_families(text)) for box, text in texts.items()}

    def collect(self) -> Iterator[Metric]:
        whole: dict[str, Metric] = {}
        for box, families in self._families.items():
            others = {family.name for other, found in self._families.items() if other != box for family in found}
            for family in families:
                if family.name in others:
                    family.samples = [
                        sample._replace(labels={**sample.labels, "box": box}) for sample in family.samples
                    ]
                if family.name in whole:
                    whole[family.name].samples += family.samples
                else:
                    whole[family.name] = family
        yield from whole.values()
