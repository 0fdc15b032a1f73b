-- 0014_dead_letters
-- Purpose : what was decided about each dead letter, and all that it takes to send one back to its topic as it came
-- Grain   : dead_letter_decisions: a position, as in dead_letters
-- Engine  : ReplacingMergeTree: deciding twice is deciding once, and of two decisions `replayed` wins
-- Undo    : DROP VIEW v_dead_letters; DROP TABLE dead_letter_decisions; ALTER TABLE dead_letters DROP COLUMN header_names, DROP COLUMN header_values
ALTER TABLE dead_letters
    ADD COLUMN IF NOT EXISTS header_names Array(String) COMMENT 'Headers of the record, in order' AFTER payload,
    ADD COLUMN IF NOT EXISTS header_values Array(String) COMMENT 'Their values' AFTER header_names;

CREATE TABLE IF NOT EXISTS dead_letter_decisions
(
    stage           LowCardinality(String)    COMMENT 'As in dead_letters',
    kafka_partition UInt16                    COMMENT 'As in dead_letters',
    kafka_offset    UInt64                    COMMENT 'As in dead_letters',
    kafka_index     UInt16                    COMMENT 'As in dead_letters',
    state           LowCardinality(String)    COMMENT 'schemas.outcomes.LetterState',
    replayed_offset Int64 DEFAULT -1          COMMENT 'Where the letter is now, in its partition; -1 if it was discarded',
    decided_at      DateTime64(3, 'UTC')      COMMENT 'When',
    version         UInt8 MATERIALIZED state = 'replayed'  COMMENT 'A letter that was sent back was sent back, whatever else was decided'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (stage, kafka_partition, kafka_offset, kafka_index)
COMMENT 'Dead letters that are no longer open';

CREATE VIEW IF NOT EXISTS v_dead_letters
AS SELECT
    concat(l.stage, '-', toString(l.kafka_partition), '-', toString(l.kafka_offset), '-', toString(l.kafka_index)) AS letter_id,
    l.stage AS stage,
    l.topic AS topic,
    l.kafka_partition AS kafka_partition,
    l.kafka_offset AS kafka_offset,
    l.kafka_index AS kafka_index,
    l.reason AS reason,
    l.error AS error,
    l.payload AS payload,
    l.header_names AS header_names,
    l.header_values AS header_values,
    l.quarantined_at AS quarantined_at,
    l.header_values[indexOf(l.header_names, 'letter')] AS replay_of,
    if(d.state = '', 'open', d.state) AS state,
    if(d.state = '', NULL, d.decided_at) AS decided_at,
    if(d.state = 'replayed', d.replayed_offset, NULL) AS replayed_offset
FROM (SELECT * FROM dead_letters FINAL) AS l
LEFT JOIN (SELECT * FROM dead_letter_decisions FINAL) AS d
    ON d.stage = l.stage AND d.kafka_partition = l.kafka_partition
    AND d.kafka_offset = l.kafka_offset AND d.kafka_index = l.kafka_index
COMMENT 'What a stage could not read, whether it is open, replayed or discarded, and the letter it is a replay of';
