"""Content-Encoding: streams that inflate a request's body and deflate an answer's, in bounded memory."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, BinaryIO, cast

import lz4.frame

from clickhouse.embedded.errors import Code, ServerError, refuse

# Unlike the package zstandard, these notice a stream that was cut off.
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK = 1 << 20

_BROKEN = (OSError, EOFError, RuntimeError, zlib.error, zstd.ZstdError)


class _Inflated(io.RawIOBase):
    """A zlib stream (Content-Encoding deflate), which the standard library has no file object for."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._inflater = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._inflater.eof:
            piece = self._inflater.unconsumed_tail or self._source.read(CHUNK)
            if not piece:
                raise EOFError("the stream ends too early")
            data = self._inflater.decompress(piece, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0


_READERS: Mapping[str, Callable[[BinaryIO], IO[bytes]]] = {
    "gzip": lambda source: cast(IO[bytes], gzip.GzipFile(fileobj=source, mode="rb")),
    "zstd": lambda source: cast(IO[bytes], zstd.ZstdFile(source, mode="rb")),
    "lz4": lambda source: cast(IO[bytes], lz4.frame.LZ4FrameFile(source, mode="rb")),
    "deflate": lambda source: io.BufferedReader(_Inflated(source)),
}


class Input:
    """A request's stream: the statement of the URL if there is one, a line end, and the inflated body."""

    def __init__(self, query: str | None, body: BinaryIO, encoding: str) -> None:
        name = encoding.strip().lower().removeprefix("x-")
        if name in {"", "identity"}:
            self._source: IO[bytes] = body
        elif name in _READERS:
            self._source = _READERS[name](body)
        else:
            raise refuse(Code.NOT_IMPLEMENTED, f"Unknown compression method of the body: {name[:20]!r}.")
        self._pending = b"" if not query else query.encode() + b"\n"

    def read(self, size: int) -> bytes:
        """As many as ``size`` bytes; fewer only at the end of the stream."""
        pieces = [self._pending[:size]]
        self._pending = self._pending[size:]
        missing = size - len(pieces[0])
        try:
            while missing > 0 and (piece := self._source.read(missing)):
                pieces.append(piece)
                missing -= len(piece)
        except _BROKEN as error:
            raise _broken(error) from None
        return b"".join(pieces)

    def unread(self, data: bytes) -> None:
        self._pending = data + self._pending

    def chunks(self) -> Iterator[bytes]:
        while chunk := self.read(CHUNK):
            yield chunk


def _broken(error: BaseException) -> ServerError:
    return refuse(Code.INCORRECT_DATA, f"The compressed body cannot be read: {error}.")


# In the order of preference: on one machine the cheapest to compress is the fastest.
OFFERED = ("lz4", "zstd", "gzip", "deflate")


def choose(accept_encoding: str) -> str | None:
    """The encoding for an answer, or None; ``q`` values other than 0 are not weighed, as in ClickHouse."""
    accepted = set()
    for part in accept_encoding.lower().split(","):
        name, _, quality = part.partition(";")
        if quality.replace(" ", "") not in {"q=0", "q=0.0"}:
            accepted.add(name.strip())
    return next((name for name in OFFERED if name in accepted), None)


def compress(chunks: Iterable[bytes | memoryview], encoding: str | None) -> Iterator[bytes | memoryview]:
    """The chunks, compressed as one stream; an ``encoding`` of None leaves them as they are."""
    if encoding is None:
        yield from chunks
    elif encoding == "lz4":
        with lz4.frame.LZ4FrameCompressor() as compressor:
            yield compressor.begin()
            for chunk in chunks:
                yield compressor.compress(chunk)
            yield compressor.flush()
    else:
        stream = (
            zstd.ZstdCompressor(level=1)
            if encoding == "zstd"
            else zlib.compressobj(1, wbits=31 if encoding == "gzip" else 15)
        )
        for chunk in chunks:
            if data := stream.compress(chunk):
                yield data
        yield stream.flush()
