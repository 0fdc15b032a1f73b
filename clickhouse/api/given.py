"""What handlers are given: the application's own, and what the guard found. Names are those of ``app.create_app``."""

from litestar.di import NamedDependency
from prometheus_client import CollectorRegistry

from clickhouse.api.decisions import Decisions
from clickhouse.api.explainer import Explainer
from clickhouse.api.metrics import Imbalance
from clickhouse.model_store import ModelStore
from clickhouse.read import Reader
from control.contacts import Contacts
from control.identities import Identities
from control.log import ControlLog
from control.replays import Replays
from control.seals import Seals
from schemas.control import Key, Project
from schemas.settings import KafkaSettings

GivenLog = NamedDependency[ControlLog]
GivenReader = NamedDependency[Reader]
GivenKafka = NamedDependency[KafkaSettings]
GivenRegistry = NamedDependency[CollectorRegistry]
GivenImbalance = NamedDependency[Imbalance]
GivenContacts = NamedDependency[Contacts]
GivenIdentities = NamedDependency[Identities]
GivenDecisions = NamedDependency[Decisions]
GivenSeals = NamedDependency[Seals]
GivenReplays = NamedDependency[Replays]
GivenExplainer = NamedDependency[Explainer]
GivenModels = NamedDependency[ModelStore]
GivenProject = NamedDependency[Project]
"""The project that the guard let the request into."""
GivenCaller = NamedDependency[Key]
"""The key that the guard let in."""
