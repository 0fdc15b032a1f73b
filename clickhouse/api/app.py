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
from clickhouse.api.attribution import Attribution
from clickhouse.api.console import console, console_file
from clickhouse.api.contact_conversions import ContactConversions
from clickhouse.api.conversions_report import Conversions
from clickhouse.api.dead_letters import DeadLetters
from clickhouse.api.decisions import Decisions
from clickhouse.api.deliveries import Deliveries
from clickhouse.api.destinations import Destinations
from clickhouse.api.docs import DocsPage, Document, ExactNumbers, openapi_json
from clickhouse.api.errors import HANDLERS
from clickhouse.api.exact import ExactResponse
from clickhouse.api.explain import Explain
from clickhouse.api.explainer import Explainer
from clickhouse.api.funnel import Funnels
from clickhouse.api.goals import Goals
from clickhouse.api.keys import Keys
from clickhouse.api.link_analytics import LinkAnalytics
from clickhouse.api.link_goals import LinkGoals
from clickhouse.api.links import Links
from clickhouse.api.mailings import Campaigns, Flows
from clickhouse.api.metrics import ApiMetrics, Application, Imbalance, Measured
from clickhouse.api.models import Models
from clickhouse.api.operations import Operations, livez, metrics, readyz
from clickhouse.api.people import ContactKey, People
from clickhouse.api.projects import Projects
from clickhouse.api.receipts import Receipts
from clickhouse.api.reconciliations import Reconciliations
from clickhouse.api.reports import Reports
from clickhouse.api.retention import Retention
from clickhouse.api.revenue import Revenue
from clickhouse.api.stats import Stats
from clickhouse.connection import Connection
from clickhouse.model_store import ModelStore
from clickhouse.read import Reader
from control.contact_keys import ContactKeys
from control.contacts import Contacts
from control.identities import Identities
from control.letters import Replay
from control.log import ControlLog
from control.metrics import ControlMetrics
from control.replays import Replays
from control.seals import Seals
from control.secret import load_secret
from schemas.settings import ApiSettings

BODY_MAX_BYTES: Final = 64 * 1024
START_LIMIT_S: Final = 15.0
"""For Kafka, at the start. A signal is heard only after it, so it is short; whoever runs us starts us again."""
DOCS_PATH: Final = "/docs"

OPENAPI: Final = OpenAPIConfig(
    title="Headwater",
    version="1",
    description="Events, conversions and links in; goals, reports, receipts, projects and keys.",
    path=DOCS_PATH,
    render_plugins=[DocsPage(path="/")],
    components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
    security=[{"key": []}],
)


def create_app(
    settings: ApiSettings, registry: CollectorRegistry | None = None, more_openapi: Document | None = None
) -> Application:
    """The ASGI application. It starts once the control log has been read, and does not wait for ClickHouse.

    ``more_openapi``: paths and components of an application that answers on the same port.
    """
    registry = registry or CollectorRegistry()
    log = ControlLog(settings.kafka, client_id="headwater-api", metrics=ControlMetrics(registry))
    reader = Reader(settings.clickhouse)
    imbalance = Imbalance(registry)
    secret = load_secret(settings.secret_file)
    contacts, identities = (
        Contacts(secret, ContactKeys.beside(settings.secret_file)),
        Identities(secret, lasting=settings.secret_file is not None),
    )
    seals = Seals(secret)
    replays = Replays(settings.kafka, client_id="headwater-api-replays")
    decisions = Decisions(
        reader,
        Connection(settings.clickhouse),
        Replay(settings.kafka, client_id="headwater-api"),
        control_offset=lambda: log.offset,
    )
    models = ModelStore(settings.clickhouse)
    explainer = Explainer(settings, reader)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.log = log
        app.state.more_openapi = more_openapi or {}
        await log.start(limit_s=START_LIMIT_S)
        try:
            yield
        finally:
            await decisions.stop()
            await replays.stop()
            await reader.stop()
            await log.stop()

    app = Litestar(
        route_handlers=[
            Goals,
            Stats,
            Reports,
            Conversions,
            Funnels,
            Retention,
            Revenue,
            Attribution,
            Explain,
            Models,
            Receipts,
            Reconciliations,
            People,
            ContactKey,
            ContactConversions,
            Campaigns,
            Flows,
            Projects,
            Keys,
            Links,
            LinkGoals,
            LinkAnalytics,
            Destinations,
            Deliveries,
            Operations,
            DeadLetters,
            console,
            console_file,
            livez,
            readyz,
            metrics,
            openapi_json,
        ],
        dependencies={
            "log": Provide(lambda: log, sync_to_thread=False),
            "reader": Provide(lambda: reader, sync_to_thread=False),
            "explainer": Provide(lambda: explainer, sync_to_thread=False),
            "models": Provide(lambda: models, sync_to_thread=False),
            "contacts": Provide(lambda: contacts, sync_to_thread=False),
            "identities": Provide(lambda: identities, sync_to_thread=False),
            "decisions": Provide(lambda: decisions, sync_to_thread=False),
            "seals": Provide(lambda: seals, sync_to_thread=False),
            "replays": Provide(lambda: replays, sync_to_thread=False),
            "kafka": Provide(lambda: settings.kafka, sync_to_thread=False),
            "registry": Provide(lambda: registry, sync_to_thread=False),
            "imbalance": Provide(lambda: imbalance, sync_to_thread=False),
            "project": Provide(project_of, sync_to_thread=False),
            "caller": Provide(key_of, sync_to_thread=False),
        },
        exception_handlers=HANDLERS,
        response_class=ExactResponse,
        openapi_config=OPENAPI,
        plugins=[ExactNumbers()],
        lifespan=[lifespan],
        request_max_body_size=BODY_MAX_BYTES,
        logging_config=None,
    )
    return Measured(cast(Application, app), ApiMetrics(registry))
