"""What a stage sees of its state, and an overlay that collects a batch's changes to it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

V = TypeVar("V")


class State(Protocol):
    """State of one partition, as of its last committed batch. Read only."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]: ...


class Overlay(dict[bytes, V], Generic[V]):
    """Decoded values of one batch by key: what was loaded, and over it what the batch has changed.

    A key that was not loaded is not there, so look-ups never reach the disk one by one.
    """

    def __init__(self, decode: Callable[[bytes], V], encode: Callable[[V], bytes]) -> None:
        super().__init__()
        self._decode = decode
        self._encode = encode
        self.changed: dict[bytes, None] = {}
        """A set in order: going through it touches memory in the order in which it was written."""

    def load(self, state: State, keys: Iterable[bytes]) -> None:
        """Read these keys, all at once."""
        wanted = list(dict.fromkeys(keys))
        decode = self._decode
        for key, value in zip(wanted, state.get_many(wanted), strict=True):
            if value is not None:
                self[key] = decode(value)

    def change(self, key: bytes, value: V) -> None:
        self[key] = value
        self.changed[key] = None

    def writes(self) -> dict[bytes, bytes]:
        """What to write, encoded."""
        encode = self._encode
        return {key: encode(self[key]) for key in self.changed}
