-- 0011_deliveries
-- Purpose : what destinations were told of conversions, and what came of it
-- Grain   : project_id, attempt_id: one attempt
-- Engine  : ReplacingMergeTree: an attempt never changes, and writing it twice is writing it once. Read with FINAL
-- Undo    : DROP TABLE deliveries
CREATE TABLE IF NOT EXISTS deliveries
(
    project_id      LowCardinality(String)         COMMENT 'Tenant',
    destination_id  String                         COMMENT 'Who was told; for the postback URL of a link goal the goal',
    delivery_id     UUID                           COMMENT 'One revision of a conversion at one destination: the webhook-id of all its attempts',
    attempt_id      UUID                           COMMENT 'This attempt',
    number          UInt32                         COMMENT 'Counts the attempts of the delivery, from 1; a replay counts from 1 again',
    conversion_id   UUID                           COMMENT 'Conversion',
    revision        UInt32                         COMMENT 'Which announcement of the conversion',
    kind            LowCardinality(String)         COMMENT 'Kind of destination: postback, meta, google',
    event           LowCardinality(String)         COMMENT 'conversion.tracked, conversion.updated',
    outcome         LowCardinality(String)         COMMENT 'delivered, http_error, refused, deferred, redirected, timeout, unreachable, forbidden, skipped, expired, withdrawn',
    status          UInt16                         COMMENT 'HTTP status, 0 where there was no answer',
    detail          String                         COMMENT 'What went wrong, in few words; for an HTTP error the beginning of the answer',
    attempted_at    DateTime64(3, 'UTC')           COMMENT 'When the attempt began',
    duration_ms     UInt32                         COMMENT 'How long it took',
    next_attempt_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it is tried again; NULL: not any more',
    notice          String CODEC(ZSTD(3)) TTL toDateTime(attempted_at) + INTERVAL 90 DAY
                                                   COMMENT 'The announcement, JSON: what a replay tells again. Forgotten after 90 days',
    INDEX by_conversion conversion_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_delivery delivery_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
ORDER BY (project_id, attempted_at, attempt_id)
COMMENT 'Facts: one row for each attempt to tell a destination of a conversion';
