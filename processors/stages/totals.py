"""What a partition has seen since it began: prefix sums, so a replay computes the same numbers."""

import msgspec

from schemas.outcomes import Outcome


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals below an offset; one checkpoint row shows them."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    quarantined: int = 0
    erased: int = 0
    conflict: int = 0
    """Of the duplicates, those whose body differs."""
    clock: int = 0
    """Latest ``received_at`` stored, ms."""
    control_offset: int = 0
    """Latest control offset stamped on a record."""

    def since(self, earlier: "Totals") -> dict[Outcome, int]:
        """Events by outcome between the two."""
        return {outcome: getattr(self, outcome.value) - getattr(earlier, outcome.value) for outcome in Outcome}
