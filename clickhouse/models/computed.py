"""One run of a data-driven model, from counted paths to shares. Pure, and the only place that knows all such models."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from clickhouse.models import markov, shapley
from clickhouse.models.paths import Paths, limited
from clickhouse.models.shares import Money, Share, shares


class DataModel(StrEnum):
    """Models that are computed from all paths of a period, on demand."""

    MARKOV = "markov"
    SHAPLEY = "shapley"


class Dimension(StrEnum):
    """What the values on a path are."""

    SOURCE = "source"
    MEDIUM = "medium"
    CAMPAIGN = "campaign"
    CHANNEL = "channel"


class Computed(Struct, frozen=True, kw_only=True):
    """What came out. ``grouped_values``: how many of the rarest became ``(other)``."""

    conversions: int
    lost_paths: int
    grouped_values: int
    shares: list[Share]


def compute(model: DataModel, order: int, paths: Paths, revenue: Mapping[str, Money]) -> Computed:
    """Share conversions and revenue among the values. Needs a conversion; only markov reads ``order``."""
    conversions = sum(ends.conversions for ends in paths.values())
    match model:
        case DataModel.MARKOV:
            told, grouped = limited(paths, markov.MAX_VALUES[order])
            weights = markov.weights(told, order)
        case DataModel.SHAPLEY:
            grouped, weights = 0, shapley.weights(paths)
    return Computed(
        conversions=conversions,
        lost_paths=sum(ends.nothing for ends in paths.values()),
        grouped_values=grouped,
        shares=shares(weights, conversions, revenue),
    )
