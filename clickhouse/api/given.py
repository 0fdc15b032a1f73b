"""What handlers are given: the application's own, and what the guard found. Names are those of ``app.create_app``."""

from litestar.di import NamedDependency
from prometheus_client import CollectorRegistry

from clickhouse.api.metrics import Imbalance
from clickhouse.read import Reader
from control.contacts import Contacts
from control.log import ControlLog
from schemas.control import Key, Project
from schemas.settings import KafkaSettings

GivenLog = NamedDependency[ControlLog]
GivenReader = NamedDependency[Reader]
GivenKafka = NamedDependency[KafkaSettings]
GivenRegistry = NamedDependency[CollectorRegistry]
GivenImbalance = NamedDependency[Imbalance]
GivenContacts = NamedDependency[Contacts]
GivenProject = NamedDependency[Project]
"""The project that the guard let the request into."""
GivenCaller = NamedDependency[Key]
"""The key that the guard let in."""
