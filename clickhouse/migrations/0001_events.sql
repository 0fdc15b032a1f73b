-- 0001_events
-- Purpose : the facts of the events stage, one row an event, for ever.
-- Grain   : project_id, event_id. A replay writes the same row again; the first position of a partition wins.
-- Engine  : ReplacingMergeTree(version); readers use FINAL or v_events
-- Order by: the hour is what is recomputed together; events older than three years at receipt share one partition
-- Undo    : DROP TABLE events
CREATE TABLE IF NOT EXISTS events
(
    project_id      LowCardinality(String)            COMMENT 'Tenant',
    event_id        UUID                              COMMENT 'Function of the request: a retry has the same one',
    event_type      LowCardinality(String)            COMMENT 'pageview, event, custom, conversion, ..',
    event_name      LowCardinality(String)            COMMENT 'Name given by the client',
    occurred_at     DateTime64(3, 'UTC')              COMMENT 'Time of the client, else of receipt',
    received_at     DateTime64(3, 'UTC')              COMMENT 'Time of receipt at ingest',
    hour            Int32 MATERIALIZED toInt32(intDiv(toUnixTimestamp64Milli(occurred_at), 3600000))
                                                      COMMENT 'Hours since 1970 of occurred_at',
    timed           Bool                              COMMENT 'The client stated the time',
    trust           UInt8                             COMMENT '0 secret key, 1 postback token, 2 public key',
    marks           Array(LowCardinality(String))     COMMENT 'clamped, bot, test, ..: kept, but marked',
    visitor         String                            COMMENT 'Visitor key; the partition is its murmur2',
    user_id         String                            COMMENT 'As the client says; empty where absent',
    anonymous_id    String                            COMMENT 'As the client says; empty where absent',
    session_id      String                            COMMENT 'Of the client, else derived by 30 minutes idle, 24 hours at most',
    session_named   Bool                              COMMENT 'The client named the session; else its id is derived',
    session_opens   Bool                              COMMENT 'The stage knew no such session before this event',
    click_id        String                            COMMENT 'Click on one of our links, or of an ad network',
    fingerprint     String                            COMMENT 'Keyed hash of IP and user agent; the address is not stored',
    url             String                            COMMENT 'Full URL',
    path            String                            COMMENT 'Path of url, without query and fragment',
    referrer        String                            COMMENT 'Full referrer',
    source          LowCardinality(String)            COMMENT 'Source of the session as far as known when stored; sessions is the truth',
    medium          LowCardinality(String)            COMMENT 'Medium of the session',
    campaign        LowCardinality(String)            COMMENT 'Campaign of the session',
    term            LowCardinality(String)            COMMENT 'utm_term of the session',
    content         LowCardinality(String)            COMMENT 'utm_content of the session',
    channel         LowCardinality(String)            COMMENT 'Channel group of the session',
    revenue         Nullable(Decimal(18, 4))          COMMENT 'Exact; NULL where none was given',
    currency        LowCardinality(String)            COMMENT 'ISO 4217, upper case',
    order_id        String                            COMMENT 'Order named by the event',
    conversion_id   UUID                              COMMENT 'Set where the event is a conversion or names an order, else zeroes',
    properties      String CODEC(ZSTD(1))             COMMENT 'JSON object as sent, with unknown top-level fields',
    context         String CODEC(ZSTD(1))             COMMENT 'JSON object as sent',
    touch           LowCardinality(String)            COMMENT 'campaign: a pageview with UTM or click id; entry: another that was first of its session when stored; empty: none',
    touch_source    LowCardinality(String)            COMMENT 'Own evidence of the event: source; (direct) for an entry without any',
    touch_medium    LowCardinality(String)            COMMENT 'Own evidence: medium',
    touch_campaign  LowCardinality(String)            COMMENT 'Own evidence: campaign',
    touch_term      LowCardinality(String)            COMMENT 'Own evidence: utm_term',
    touch_content   LowCardinality(String)            COMMENT 'Own evidence: utm_content',
    touch_channel   LowCardinality(String)            COMMENT 'Own evidence: channel',
    key_kinds       Array(LowCardinality(String))     COMMENT 'Kinds of the identities first seen in the session with this event: user, anonymous, click',
    key_values      Array(String)                     COMMENT 'Values beside key_kinds',
    checksum        UInt32                            COMMENT 'CRC-32 of the client''s bytes: tells a conflict from a repeat',
    kafka_partition UInt16                            COMMENT 'Position on events-raw',
    kafka_offset    UInt64                            COMMENT 'Position on events-raw',
    kafka_index     UInt16                            COMMENT 'Line inside the record',
    version         UInt64                            COMMENT '2^64 - 1 - (offset * 4096 + index): the first position wins',
    INDEX by_received received_at TYPE minmax GRANULARITY 4,
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY if(occurred_at < received_at - toIntervalYear(3), 0, toYYYYMM(occurred_at))
ORDER BY (project_id, hour, event_id)
COMMENT 'Facts: one row an event. Read v_events, or this with FINAL';

CREATE TABLE IF NOT EXISTS event_log
(
    kafka_partition UInt16                            COMMENT 'Position on events-raw',
    kafka_offset    UInt64                            COMMENT 'Position on events-raw',
    kafka_index     UInt16                            COMMENT 'Line inside the record',
    project_id      LowCardinality(String)            COMMENT 'Tenant',
    event_id        UUID                              COMMENT 'The event stored from this position',
    hour            Int32                             COMMENT 'Where the event is in events',
    event_type      LowCardinality(String)            COMMENT 'For goals',
    event_name      LowCardinality(String)            COMMENT 'For goals',
    path            String                            COMMENT 'For goals',
    occurred_at     DateTime64(3, 'UTC')              COMMENT 'Time of the event',
    received_at     DateTime64(3, 'UTC')              COMMENT 'Time of receipt',
    visitor         String                            COMMENT 'Visitor key',
    user_id         String                            COMMENT 'Identity',
    session_id      String                            COMMENT 'Session',
    revenue         Nullable(Decimal(18, 4))          COMMENT 'Exact',
    currency        LowCardinality(String)            COMMENT 'ISO 4217',
    routed          Bool                              COMMENT 'The event went on to the conversions stage, which books it',
    identifies      Bool                              COMMENT 'It is a touch or ties an identity to its session',
    checksum        UInt32                            COMMENT 'From here on: what lost state of the stage is rebuilt from',
    session_named   Bool                              COMMENT 'As in events',
    session_opens   Bool                              COMMENT 'As in events',
    touch           LowCardinality(String)            COMMENT 'As in events',
    touch_source    LowCardinality(String)            COMMENT 'As in events',
    touch_medium    LowCardinality(String)            COMMENT 'As in events',
    touch_campaign  LowCardinality(String)            COMMENT 'As in events',
    touch_term      LowCardinality(String)            COMMENT 'As in events',
    touch_content   LowCardinality(String)            COMMENT 'As in events',
    touch_channel   LowCardinality(String)            COMMENT 'As in events',
    key_kinds       Array(LowCardinality(String))     COMMENT 'As in events',
    key_values      Array(String)                     COMMENT 'As in events'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (kafka_partition, kafka_offset, kafka_index)
COMMENT 'Positions stored by the events stage, in log order: what the booker reads next, and the proof that nothing is missing';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_event_log TO event_log
AS SELECT
    kafka_partition, kafka_offset, kafka_index, project_id, event_id,
    toInt32(intDiv(toUnixTimestamp64Milli(occurred_at), 3600000)) AS hour,
    event_type, event_name, path, occurred_at, received_at, visitor, user_id, session_id, revenue, currency,
    conversion_id != toUUID('00000000-0000-0000-0000-000000000000') AS routed,
    touch != '' OR notEmpty(key_kinds) AS identifies,
    checksum, session_named, session_opens, touch, touch_source, touch_medium, touch_campaign, touch_term,
    touch_content, touch_channel, key_kinds, key_values
FROM events;
