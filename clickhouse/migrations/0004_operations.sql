-- 0004_operations
-- Purpose : how far each stage is, and what it could not read.
-- Grain   : checkpoints: stage, topic, partition, end offset. dead_letters: a position
-- Engine  : ReplacingMergeTree: a replay writes the same numbers, since totals are prefix sums of the partition
-- Undo    : DROP TABLE checkpoints; DROP TABLE dead_letters
CREATE TABLE IF NOT EXISTS checkpoints
(
    stage           LowCardinality(String)    COMMENT 'events or conversions',
    topic_id        String                    COMMENT 'Tells a recreated topic from the old one',
    kafka_partition UInt16                    COMMENT 'Partition of the stage''s topic',
    end_offset      UInt64                    COMMENT 'All records below it are processed and stored',
    received        UInt64                    COMMENT 'Events below end_offset, since the partition began',
    stored          UInt64                    COMMENT 'Of them, stored as facts',
    duplicate       UInt64                    COMMENT 'Of them, repeats of a stored event',
    rejected        UInt64                    COMMENT 'Of them, refused by the stage',
    quarantined     UInt64                    COMMENT 'Of them, sent to the dead-letter topic',
    erased          UInt64                    COMMENT 'Of them, erased at a person''s request',
    conflict        UInt64                    COMMENT 'Of the duplicates, those whose body differs',
    clock           DateTime64(3, 'UTC')      COMMENT 'Latest received_at seen',
    control_offset  UInt64                    COMMENT 'Latest control offset seen in the records',
    written_at      DateTime64(3, 'UTC') DEFAULT now64(3)  COMMENT 'For people only; no rule reads it'
)
ENGINE = ReplacingMergeTree
ORDER BY (stage, topic_id, kafka_partition, end_offset)
COMMENT 'The only watermark: what is stored, with prefix sums by outcome';

CREATE TABLE IF NOT EXISTS dead_letters
(
    stage           LowCardinality(String)    COMMENT 'Stage that refused it',
    topic           LowCardinality(String)    COMMENT 'Topic it came from',
    kafka_partition UInt16                    COMMENT 'Position it came from',
    kafka_offset    UInt64                    COMMENT 'Position it came from',
    kafka_index     UInt16                    COMMENT 'Line inside the record',
    reason          LowCardinality(String)    COMMENT 'schemas.outcomes.Quarantine',
    error           String                    COMMENT 'What the decoder said; never the payload',
    payload         String CODEC(ZSTD(1))     COMMENT 'The bytes, as received',
    quarantined_at  DateTime64(3, 'UTC')      COMMENT 'Stage clock when it was found',
    version         UInt64                    COMMENT 'The first position wins'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (stage, topic, kafka_partition, kafka_offset, kafka_index)
COMMENT 'What a stage could not read, with its reason and bytes; also on the -dlq topic';
