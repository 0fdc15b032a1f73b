"""The application: routes, what they are given, and what lives as long as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

from litestar import Litestar
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from prometheus_client import CollectorRegistry

from clickhouse.api.access import key_of, project_of
from clickhouse.api.contact_conversions import ContactConversions
from clickhouse.api.docs import DocsPage, openapi_json
from clickhouse.api.errors import HANDLERS
from clickhouse.api.exact import ExactResponse
from clickhouse.api.funnel import Funnels
from clickhouse.api.goals import Goals
from clickhouse.api.keys import Keys
from clickhouse.api.link_analytics import LinkAnalytics
from clickhouse.api.link_goals import LinkGoals
from clickhouse.api.links import Links
from clickhouse.api.mailings import Campaigns, Flows
from clickhouse.api.metrics import ApiMetrics, Application, Imbalance, Measured
from clickhouse.api.operations import Operations, livez, metrics, readyz
from clickhouse.api.projects import Projects
from clickhouse.api.receipts import Receipts
from clickhouse.api.reports import Reports
from clickhouse.api.retention import Retention
from clickhouse.api.stats import Stats
from clickhouse.read import Reader
from control.contacts import Contacts
from control.log import ControlLog
from control.metrics import ControlMetrics
from control.secret import load_secret
from schemas.settings import ApiSettings

BODY_MAX_BYTES: Final = 64 * 1024
START_LIMIT_S: Final = 15.0
"""For Kafka, at the start. A signal is heard only after it, so it is short; whoever runs us starts us again."""
DOCS_PATH: Final = "/docs"

OPENAPI: Final = OpenAPIConfig(
    title="Headwater",
    version="1",
    description="Goals, reports, receipts, projects and keys. Events are posted to /v1/projects/{id}/events.",
    path=DOCS_PATH,
    render_plugins=[DocsPage(path="/")],
    components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
    security=[{"key": []}],
)


def create_app(settings: ApiSettings, registry: CollectorRegistry | None = None) -> Application:
    """The ASGI application. It starts once the control log has been read, and does not wait for ClickHouse."""
    registry = registry or CollectorRegistry()
    log = ControlLog(settings.kafka, client_id="headwater-api", metrics=ControlMetrics(registry))
    reader = Reader(settings.clickhouse)
    imbalance = Imbalance(registry)
    contacts = Contacts(load_secret(settings.secret_file))

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.log = log
        await log.start(limit_s=START_LIMIT_S)
        try:
            yield
        finally:
            await reader.stop()
            await log.stop()

    app = Litestar(
        route_handlers=[
            Goals,
            Stats,
            Reports,
            Funnels,
            Retention,
            Receipts,
            ContactConversions,
            Campaigns,
            Flows,
            Projects,
            Keys,
            Links,
            LinkGoals,
            LinkAnalytics,
            Operations,
            livez,
            readyz,
            metrics,
            openapi_json,
        ],
        dependencies={
            "log": Provide(lambda: log, sync_to_thread=False),
            "reader": Provide(lambda: reader, sync_to_thread=False),
            "contacts": Provide(lambda: contacts, sync_to_thread=False),
            "kafka": Provide(lambda: settings.kafka, sync_to_thread=False),
            "registry": Provide(lambda: registry, sync_to_thread=False),
            "imbalance": Provide(lambda: imbalance, sync_to_thread=False),
            "project": Provide(project_of, sync_to_thread=False),
            "caller": Provide(key_of, sync_to_thread=False),
        },
        exception_handlers=HANDLERS,
        response_class=ExactResponse,
        openapi_config=OPENAPI,
        lifespan=[lifespan],
        request_max_body_size=BODY_MAX_BYTES,
        logging_config=None,
    )
    return Measured(cast(Application, app), ApiMetrics(registry))
