"""How long properties are looked for a counterexample."""

import os
from typing import Final

DEPTH: Final = int(os.environ.get("HEADWATER_TEST_DEPTH", "1"))
"""``make test-all`` sets it to 10."""


def examples(fast: int) -> int:
    """How many examples: so many in the suite that each commit passes."""
    return fast * DEPTH
