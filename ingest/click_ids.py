"""Click ids: positive integers below 2**53, so that JSON of every language carries them exactly.

1. A process draws a random block of 2**16 consecutive numbers and counts through it, then draws the next: within a
   process no two ids are equal but by rule 3, and processes need not know of each other.
2. The number is multiplied by an odd constant modulo 2**53, which keeps distinct numbers distinct and hides the count.
3. Two draws meet with a chance of 1 in 2**37: after a thousand million clicks and ten thousand starts of a process the
   chance that any two draws met is about 1 in 400. Drawn one by one, fifty pairs of those ids would be equal.
"""

import secrets
from collections.abc import Callable
from typing import Final

BITS: Final = 53
BLOCK_BITS: Final = 16
_MASK: Final = 2**BITS - 1
_ODD: Final = 0x1A85EC53A3C9B5 | 1

RandomBits = Callable[[int], int]


class ClickIds:
    """The ids of one process."""

    def __init__(self, random_bits: RandomBits = secrets.randbits) -> None:
        self._random_bits = random_bits
        self._next = 0
        self._end = 0

    def new(self) -> int:
        """An id that this process has not given out before."""
        if self._next == self._end:
            self._next = self._random_bits(BITS - BLOCK_BITS) << BLOCK_BITS
            self._end = self._next + 2**BLOCK_BITS
        number = self._next
        self._next += 1
        return (number * _ODD) & _MASK or self.new()
