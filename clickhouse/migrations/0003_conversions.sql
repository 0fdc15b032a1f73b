-- 0003_conversions
-- Purpose : the facts of the conversions stage. One order is one conversion for ever, each report of it one row.
-- Grain   : conversion_arrivals: project_id, conversion_id, event_id
-- Engine  : ReplacingMergeTree(version): the first position wins. conversions merges the arrivals when read
-- Undo    : DROP VIEW conversions; DROP TABLE conversion_arrivals
CREATE TABLE IF NOT EXISTS conversion_arrivals
(
    project_id      LowCardinality(String)    COMMENT 'Tenant',
    conversion_id   UUID                      COMMENT 'Function of project, kind and order (or event)',
    event_id        UUID                      COMMENT 'The report: browser event, server event, postback, ..',
    is_conversion   Bool                      COMMENT 'False for an event that only names the order',
    kind            LowCardinality(String)    COMMENT 'event_name, goal_type or type',
    order_id        String                    COMMENT 'Order, where there is one',
    trust           UInt8                     COMMENT '0 secret key, 1 postback token, 2 public key',
    received_at     DateTime64(3, 'UTC')      COMMENT 'Time of receipt',
    converted_at    DateTime64(3, 'UTC')      COMMENT 'Time of the client, else of receipt',
    timed           Bool                      COMMENT 'The client stated the time',
    event_type      LowCardinality(String)    COMMENT 'For goals',
    event_name      LowCardinality(String)    COMMENT 'For goals',
    path            String                    COMMENT 'For goals',
    visitor         String                    COMMENT 'Visitor key',
    user_id         String                    COMMENT 'Identity',
    anonymous_id    String                    COMMENT 'Identity',
    session_id      String                    COMMENT 'Session',
    click_id        String                    COMMENT 'Click',
    fingerprint     String                    COMMENT 'Keyed hash of IP and user agent',
    revenue         Nullable(Decimal(18, 4))  COMMENT 'Exact; NULL where none was given',
    currency        LowCardinality(String)    COMMENT 'ISO 4217',
    properties      String CODEC(ZSTD(1))     COMMENT 'JSON object as sent',
    checksum        UInt32                    COMMENT 'CRC-32 of the client''s bytes',
    kafka_partition UInt16                    COMMENT 'Position on conversions-raw',
    kafka_offset    UInt64                    COMMENT 'Position on conversions-raw',
    kafka_index     UInt16                    COMMENT 'Line inside the record',
    version         UInt64                    COMMENT 'The first position wins',
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, conversion_id, event_id)
COMMENT 'Facts: one row for each report of a conversion';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_person_keys_conversions TO person_keys
AS SELECT DISTINCT project_id, edge.1 AS kind, edge.2 AS key, 'conversion' AS carrier_kind, edge.3 AS carrier
FROM
(
    SELECT project_id, arrayJoin(arrayFilter(e -> e.2 != '', [
        ('user', user_id, toString(conversion_id)),
        ('anonymous', anonymous_id, toString(conversion_id)),
        ('session', session_id, toString(conversion_id)),
        ('click', click_id, toString(conversion_id))])) AS edge
    FROM conversion_arrivals
);

CREATE VIEW IF NOT EXISTS conversions
AS SELECT
    project_id,
    conversion_id,
    argMin(a.kind, rank) AS kind,
    argMin(a.order_id, rank) AS order_id,
    max(a.is_conversion) AS is_conversion,
    min(a.trust) AS trust,
    if(countIf(a.timed) > 0, argMinIf(a.converted_at, rank, a.timed), argMin(a.converted_at, rank)) AS converted_at,
    min(a.received_at) AS received_at,
    argMinIf(a.event_id, rank, a.is_conversion) AS event_id,
    argMinIf(a.user_id, rank, a.user_id != '') AS user_id,
    argMinIf(a.anonymous_id, rank, a.anonymous_id != '') AS anonymous_id,
    argMinIf(a.session_id, rank, a.session_id != '') AS session_id,
    argMinIf(a.click_id, rank, a.click_id != '') AS click_id,
    argMin(a.visitor, rank) AS visitor,
    argMinIf(a.revenue, rank, a.revenue IS NOT NULL) AS revenue,
    argMinIf(a.currency, rank, a.revenue IS NOT NULL) AS currency,
    argMin(a.properties, rank) AS properties,
    count() AS arrivals
FROM
(
    SELECT *, (trust, kafka_offset, kafka_index) AS rank FROM conversion_arrivals FINAL
) AS a
GROUP BY project_id, conversion_id
COMMENT 'One row an order: each field from the most trusted, then first, arrival that has it';
