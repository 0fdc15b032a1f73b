"""What every box agrees on: cutting records, reading settings, naming records."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import settings
from schemas.codec import RECORD_MAX_BYTES, RECORD_MAX_LINES, lines, pack
from schemas.control import mailing_key
from schemas.errors import Invariant
from schemas.ids import murmur2, partition_of
from schemas.settings import IngestSettings, InvalidSettings, StageSettings, load


@given(st.lists(st.binary(min_size=1, max_size=9).filter(lambda line: b"\n" not in line), max_size=40))
def test_packing_loses_no_line_and_keeps_the_order(encoded: list[bytes]) -> None:
    assert [line for value in pack(encoded) for line in lines(value)] == encoded


def test_a_record_is_cut_at_its_limits() -> None:
    many = list(pack([b"x"] * (RECORD_MAX_LINES + 1)))
    assert [len(lines(value)) for value in many] == [RECORD_MAX_LINES, 1]
    large = list(pack([b"x" * (RECORD_MAX_BYTES // 2)] * 3))
    assert [len(lines(value)) for value in large] == [1, 1, 1]
    assert list(pack([])) == []


def test_settings_are_read_from_variables_and_empty_ones_count_as_unset() -> None:
    found = load(
        StageSettings,
        {"HEADWATER_KAFKA_BOOTSTRAP": "broker:1", "HEADWATER_DATA_DIR": "data", "HEADWATER_INSTANCE": "", "OTHER": "1"},
    )
    assert (found.kafka.kafka_bootstrap, found.data_dir, found.instance) == ("broker:1", Path("data"), "")
    assert load(IngestSettings, {}) == IngestSettings()


def test_a_setting_that_does_not_fit_is_named() -> None:
    with pytest.raises(InvalidSettings, match="batch_max_bytes"):
        load(StageSettings, {"HEADWATER_BATCH_MAX_BYTES": "0"})


def test_a_setting_of_a_type_that_no_text_can_give_is_a_mistake_of_ours() -> None:
    class Odd(msgspec.Struct):
        thing: Annotated[complex, "no text gives this"] = 0j

    with pytest.raises(NotImplementedError):
        load(Odd, {settings.PREFIX + "THING": "1"})


def test_two_projects_may_give_a_campaign_the_same_id() -> None:
    assert mailing_key("p", "c") != mailing_key("q", "c")


@pytest.mark.parametrize(
    ("key", "hash"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key: bytes, hash: int) -> None:
    """The values of org.apache.kafka.common.utils.UtilsTest."""
    assert murmur2(key) == hash % 2**32
    assert partition_of(key.decode(), 4) == (hash % 2**31) % 4


def test_a_broken_rule_of_ours_is_answered_with_500() -> None:
    assert Invariant("two owners").http_status == 500
