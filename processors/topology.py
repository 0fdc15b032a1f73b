"""The stages, as a table: what each reads, stores, sends on and remembers.

============  ===============  =================================  ===============  ================================
stage         reads            stores (ClickHouse)                sends on         remembers (RocksDB, a partition)
============  ===============  =================================  ===============  ================================
events        events-raw       events; by views: event_log,       conversions-raw  event ids for a window (7 days),
                               touches, sessions, person_keys                      sessions for three to six days
conversions   conversions-raw  conversion_arrivals; by a view:    conversions      arrivals, and which conversions
                               person_keys                                         are announced: for ever
============  ===============  =================================  ===============  ================================

Both also write checkpoints and dead_letters, and send what they cannot read to ``<topic>-dlq``. The rules are in
``processors.core``, each stage's composition of them in ``processors.stages``, the loop in ``processors.runtime``.
Two commands are no stages. The booker reads facts and writes books, in numbered runs. Delivery, with its state in faust
tables (``processors.delivery``), reads conversions and tells destinations of them, at least once; no stage waits.
"""

from processors.core.forgetting import Forgetting
from processors.core.sessions import DAY_MS, Limits
from processors.stages.conversions import ConversionsStage
from processors.stages.events import EventsStage, HadProject
from schemas.settings import StageSettings

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def events_stage(settings: StageSettings, had_project: HadProject, forgetting: Forgetting | None = None) -> EventsStage:
    """The events stage as the settings say."""
    return EventsStage(
        had_project,
        window_ms=settings.dedupe_window_days * DAY_MS,
        limits=Limits(
            idle_ms=settings.session_idle_minutes * MINUTE_MS, longest_ms=settings.session_max_hours * HOUR_MS
        ),
        bad_run_max=settings.quarantine_max_consecutive,
        forgetting=forgetting,
    )


def conversions_stage(settings: StageSettings, forgetting: Forgetting | None = None) -> ConversionsStage:
    """The conversions stage as the settings say."""
    return ConversionsStage(bad_run_max=settings.quarantine_max_consecutive, forgetting=forgetting)
