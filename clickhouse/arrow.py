"""Types of the tables that stages insert into, as Arrow carries them.

UUIDs travel as sixteen bytes, times as milliseconds, money as Decimal128: nothing is parsed on the way.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

_TEXT: Final[pa.DataType] = pa.string()
_UUID: Final[pa.DataType] = pa.binary(16)
_TIME: Final[pa.DataType] = pa.timestamp("ms", "UTC")
_MONEY: Final[pa.DataType] = pa.decimal128(18, 4)
_TEXTS: Final[pa.DataType] = pa.list_(pa.string())

SCHEMAS: Final[dict[str, pa.Schema]] = {
    "events": pa.schema(
        [
            ("project_id", _TEXT),
            ("event_id", _UUID),
            ("event_type", _TEXT),
            ("event_name", _TEXT),
            ("occurred_at", _TIME),
            ("received_at", _TIME),
            ("timed", pa.bool_()),
            ("trust", pa.uint8()),
            ("marks", _TEXTS),
            ("visitor", _TEXT),
            ("user_id", _TEXT),
            ("anonymous_id", _TEXT),
            ("session_id", _TEXT),
            ("session_named", pa.bool_()),
            ("session_opens", pa.bool_()),
            ("click_id", _TEXT),
            ("fingerprint", _TEXT),
            ("url", _TEXT),
            ("path", _TEXT),
            ("referrer", _TEXT),
            ("source", _TEXT),
            ("medium", _TEXT),
            ("campaign", _TEXT),
            ("term", _TEXT),
            ("content", _TEXT),
            ("channel", _TEXT),
            ("revenue", _MONEY),
            ("currency", _TEXT),
            ("order_id", _TEXT),
            ("conversion_id", _UUID),
            ("properties", pa.binary()),
            ("context", pa.binary()),
            ("touch", _TEXT),
            ("touch_source", _TEXT),
            ("touch_medium", _TEXT),
            ("touch_campaign", _TEXT),
            ("touch_term", _TEXT),
            ("touch_content", _TEXT),
            ("touch_channel", _TEXT),
            ("refund_id", _TEXT),
            ("refund_of", _UUID),
            ("link_id", pa.uint64()),
            ("contact_id", _TEXT),
            ("email_campaign_id", _TEXT),
            ("flow_id", _TEXT),
            ("key_kinds", _TEXTS),
            ("key_values", _TEXTS),
            ("checksum", pa.uint32()),
            ("kafka_partition", pa.uint16()),
            ("kafka_offset", pa.uint64()),
            ("kafka_index", pa.uint16()),
            ("version", pa.uint64()),
        ]
    ),
    "conversion_arrivals": pa.schema(
        [
            ("project_id", _TEXT),
            ("conversion_id", _UUID),
            ("event_id", _UUID),
            ("is_conversion", pa.bool_()),
            ("kind", _TEXT),
            ("order_id", _TEXT),
            ("trust", pa.uint8()),
            ("received_at", _TIME),
            ("converted_at", _TIME),
            ("timed", pa.bool_()),
            ("event_type", _TEXT),
            ("event_name", _TEXT),
            ("path", _TEXT),
            ("visitor", _TEXT),
            ("user_id", _TEXT),
            ("anonymous_id", _TEXT),
            ("session_id", _TEXT),
            ("click_id", _TEXT),
            ("fingerprint", _TEXT),
            ("revenue", _MONEY),
            ("currency", _TEXT),
            ("currency_defaulted", pa.bool_()),
            ("contact_id", _TEXT),
            ("sealed_email", _TEXT),
            ("campaign_id", _TEXT),
            ("flow_id", _TEXT),
            ("attribution_model", _TEXT),
            ("attribution_window_days", pa.uint8()),
            ("defaulted", pa.bool_()),
            ("goal_id", _TEXT),
            ("window_days", pa.uint16()),
            ("properties", pa.binary()),
            ("checksum", pa.uint32()),
            ("kafka_partition", pa.uint16()),
            ("kafka_offset", pa.uint64()),
            ("kafka_index", pa.uint16()),
            ("version", pa.uint64()),
        ]
    ),
    "deliveries": pa.schema(
        [
            ("project_id", _TEXT),
            ("destination_id", _TEXT),
            ("delivery_id", _UUID),
            ("attempt_id", _UUID),
            ("number", pa.uint32()),
            ("conversion_id", _UUID),
            ("revision", pa.uint32()),
            ("kind", _TEXT),
            ("event", _TEXT),
            ("outcome", _TEXT),
            ("status", pa.uint16()),
            ("detail", _TEXT),
            ("attempted_at", _TIME),
            ("duration_ms", pa.uint32()),
            ("next_attempt_at", _TIME),
            ("notice", pa.binary()),
        ]
    ),
    "dead_letters": pa.schema(
        [
            ("stage", _TEXT),
            ("topic", _TEXT),
            ("kafka_partition", pa.uint16()),
            ("kafka_offset", pa.uint64()),
            ("kafka_index", pa.uint16()),
            ("reason", _TEXT),
            ("error", _TEXT),
            ("payload", pa.binary()),
            ("header_names", _TEXTS),
            ("header_values", pa.list_(pa.binary())),
            ("quarantined_at", _TIME),
            ("version", pa.uint64()),
        ]
    ),
    "erased_positions": pa.schema(
        [
            ("stage", _TEXT),
            ("kafka_partition", pa.uint16()),
            ("kafka_offset", pa.uint64()),
            ("kafka_index", pa.uint16()),
        ]
    ),
    "checkpoints": pa.schema(
        [
            ("stage", _TEXT),
            ("topic_id", _TEXT),
            ("kafka_partition", pa.uint16()),
            ("end_offset", pa.uint64()),
            ("received", pa.uint64()),
            ("stored", pa.uint64()),
            ("duplicate", pa.uint64()),
            ("rejected", pa.uint64()),
            ("quarantined", pa.uint64()),
            ("erased", pa.uint64()),
            ("conflict", pa.uint64()),
            ("clock", _TIME),
            ("control_offset", pa.uint64()),
        ]
    ),
}


def record_batch(table: str, columns: Mapping[str, Sequence[Any]]) -> pa.RecordBatch:
    """Rows of a table, by column. Raises ``pyarrow.ArrowException`` for a value that does not fit."""
    schema = SCHEMAS[table]
    return pa.record_batch([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def stream(table: str, batches: Sequence[pa.RecordBatch]) -> bytes:
    """The batches as one block of ClickHouse's ArrowStream format."""
    rows = pa.Table.from_batches(batches, SCHEMAS[table]).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMAS[table]) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())
