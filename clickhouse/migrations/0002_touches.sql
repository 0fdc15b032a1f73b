-- 0002_touches
-- Purpose : where visitors came from: touches, sessions, and the keys by which a conversion finds them.
-- Grain   : touches: project_id, session_id, event_id. sessions: project_id, session_id. person_keys: one edge.
-- Engine  : incremental views over immutable rows by key, min and max only, which replays cannot change
-- Undo    : DROP the views, then the tables; all can be filled again from events
CREATE TABLE IF NOT EXISTS touches
(
    project_id  LowCardinality(String)  COMMENT 'Tenant',
    session_id  String                  COMMENT 'Session of the touch',
    touched_at  DateTime64(3, 'UTC')    COMMENT 'Time of the event that shows it',
    touch_id    UUID                    COMMENT 'Id of that event',
    kind        LowCardinality(String)  COMMENT 'entry: may be the first pageview of its session; campaign: UTM or click id, wherever it is in the session',
    source      LowCardinality(String)  COMMENT 'Source; (direct) where the entry shows none',
    medium      LowCardinality(String)  COMMENT 'Medium',
    campaign    LowCardinality(String)  COMMENT 'Campaign',
    term        LowCardinality(String)  COMMENT 'utm_term',
    content     LowCardinality(String)  COMMENT 'utm_content',
    channel     LowCardinality(String)  COMMENT 'Channel group',
    version     UInt64                  COMMENT 'The first position wins'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, session_id, touched_at, touch_id)
SETTINGS index_granularity = 1024
COMMENT 'Facts: evidence of a source. The entry that counts is the earliest of its session';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_touches TO touches
AS SELECT
    project_id, session_id, occurred_at AS touched_at, event_id AS touch_id, touch AS kind, touch_source AS source,
    touch_medium AS medium, touch_campaign AS campaign, touch_term AS term, touch_content AS content,
    touch_channel AS channel, version
FROM events
WHERE touch != '';

CREATE TABLE IF NOT EXISTS sessions
(
    project_id  LowCardinality(String)                                  COMMENT 'Tenant',
    session_id  String                                                  COMMENT 'Of the client, else derived',
    started_at  SimpleAggregateFunction(min, DateTime64(3, 'UTC'))      COMMENT 'Earliest event',
    ended_at    SimpleAggregateFunction(max, DateTime64(3, 'UTC'))      COMMENT 'Latest event',
    entry       SimpleAggregateFunction(min, Tuple(
                    at DateTime64(3, 'UTC'), event_id UUID, source String, medium String, campaign String,
                    term String, content String, channel String, referrer String))
                                                                        COMMENT 'First pageview and its source; the year 2299 where there is none'
)
ENGINE = AggregatingMergeTree
ORDER BY (project_id, session_id)
COMMENT 'One row a session, an aggregate of events by min and max. Read v_sessions';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_sessions TO sessions
AS SELECT
    project_id, session_id,
    min(occurred_at) AS started_at,
    max(occurred_at) AS ended_at,
    min(if(touch = '',
        (toDateTime64('2299-01-01 00:00:00', 3, 'UTC'), event_id, '', '', '', '', '', '', ''),
        (occurred_at, event_id, toString(touch_source), toString(touch_medium), toString(touch_campaign),
         toString(touch_term), toString(touch_content), toString(touch_channel), referrer)))
    AS entry
FROM events
GROUP BY project_id, session_id;

CREATE TABLE IF NOT EXISTS person_keys
(
    project_id   LowCardinality(String)  COMMENT 'Tenant',
    kind         LowCardinality(String)  COMMENT 'user, anonymous, click, session',
    key          String                  COMMENT 'Value of the identity',
    carrier_kind LowCardinality(String)  COMMENT 'What carries it: session, conversion, user, anonymous, click',
    carrier      String                  COMMENT 'Id of the carrier'
)
ENGINE = ReplacingMergeTree
ORDER BY (project_id, kind, key, carrier_kind, carrier)
SETTINGS index_granularity = 1024
COMMENT 'Edges between identities, sessions and conversions, sorted by key: what one late touch concerns is a look-up';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_person_keys_events TO person_keys
AS SELECT DISTINCT project_id, edge.1 AS kind, edge.2 AS key, edge.3 AS carrier_kind, edge.4 AS carrier
FROM
(
    SELECT project_id, arrayJoin(arrayConcat(
        arrayMap((k, v) -> (toString(k), v, 'session', session_id), key_kinds, key_values),
        arrayMap((k, v) -> ('session', session_id, toString(k), v), key_kinds, key_values))) AS edge
    FROM events
    WHERE notEmpty(key_kinds)
);
