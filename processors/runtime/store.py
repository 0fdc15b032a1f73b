"""State of one partition on disk: RocksDB, one directory a partition, one atomic write a batch.

The position is written together with the state, so the two never disagree. A write survives the death of the process;
one that a power failure takes away leaves state older than the commit, which is rebuilt.
"""

import contextlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import msgspec
from rocksdict import AccessType, BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch

from processors.stages.totals import Totals
from schemas.errors import Unavailable

_POSITION_KEY: Final = b"\xff"
WRITE_BUFFER_BYTES: Final = 4 * 1024 * 1024
CACHE_BYTES: Final = 8 * 1024 * 1024


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where the state is."""

    layout: str
    """Of the stage: state of another layout is rebuilt."""
    topic_id: str
    next_offset: int
    last_record: bytes = b""
    """Hash of the record at ``next_offset - 1``; empty where that was gone when the state was rebuilt."""
    bad_run: int = 0
    """Unreadable lines up to here, in a row."""
    totals: Totals


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Position).decode


class Store:
    """The state of a partition. Belongs to one thread at a time."""

    def __init__(self, directory: Path) -> None:
        """Open, or make it. Raises :class:`Unavailable` while another process has it open."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        try:
            self._db = Rdict(str(directory), options=_options(), access_type=AccessType.read_write())
        except Exception as error:  # rocksdict raises bare Exception
            if "lock" in str(error).lower():
                raise Unavailable(f"state in {directory.name} is held by another process") from error
            raise

    def position(self) -> Position | None:
        """None: there is no state, or its writing was never finished."""
        value = self._db.get(_POSITION_KEY)
        if value is None:
            return None
        with contextlib.suppress(msgspec.MsgspecError):
            return _decode(value)
        return None

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return cast(list[bytes | None], self._db.get(list(keys))) if keys else []

    def write(
        self,
        writes: Mapping[bytes, bytes],
        dead: Iterable[tuple[bytes, bytes]] = (),
        position: Position | None = None,
    ) -> None:
        """Write it all, or nothing. Without a position the state does not count yet."""
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in writes.items():
            put(key, value)
        for begin, end in dead:
            batch.delete_range(begin, end)
        if position is not None:
            put(_POSITION_KEY, _encode(position))
        self._db.write(batch)

    def items(self) -> dict[bytes, bytes]:
        """All of the state without the position: for comparisons, not for use."""
        return {cast(bytes, key): cast(bytes, value) for key, value in self._db.items() if key != _POSITION_KEY}

    def size_bytes(self) -> int:
        return sum(
            self._db.property_int_value(name) or 0
            for name in ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables")
        )

    def close(self) -> None:
        self._db.close()

    def empty(self) -> "Store":
        """The same, with nothing in it; this one is closed."""
        self.close()
        shutil.rmtree(self.directory)
        return Store(self.directory)


def _options() -> Options:
    """Some megabytes a partition, however large the state is."""
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_cache(Cache(CACHE_BYTES))
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_memtable_whole_key_filtering(True)  # most look-ups are of keys that are not there
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_max_total_wal_size(4 * WRITE_BUFFER_BYTES)
    options.set_max_background_jobs(1)
    options.set_max_open_files(256)
    options.set_keep_log_file_num(2)
    options.set_compression_type(DBCompressionType.lz4())
    return options
