-- 0012_privacy
-- Needs   : of 0009 and 0010 two columns, which are named here again
-- Purpose : forgetting persons: what was erased, the proof of it, and a ledger that still balances.
-- Grain   : erasures: request, round. erased_positions: a position. erasure_values: scratch of a request in work
-- Engine  : ReplacingMergeTree: a step that is repeated writes the same row
-- Undo    : CREATE OR REPLACE VIEW v_ledger as in 0006; DROP what is made here
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS contact_id String DEFAULT '' COMMENT 'Contact (seed S3): UUID, empty if none',
    ADD COLUMN IF NOT EXISTS refund_of UUID DEFAULT toUUID('00000000-0000-0000-0000-000000000000')
        COMMENT 'Of a refund: the conversion, where it is known; else zeroes, and order_id names the order';

ALTER TABLE seals
    ADD COLUMN IF NOT EXISTS erased UInt64 DEFAULT 0 COMMENT 'Erased by the stage below end_offset, as proven';

CREATE TABLE IF NOT EXISTS erased_positions
(
    stage           LowCardinality(String)  COMMENT 'events or conversions',
    kafka_partition UInt16                  COMMENT 'Position on the stage''s topic',
    kafka_offset    UInt64                  COMMENT 'Position on the stage''s topic',
    kafka_index     UInt16                  COMMENT 'Line inside the record'
)
ENGINE = ReplacingMergeTree
ORDER BY (stage, kafka_partition, kafka_offset, kafka_index)
COMMENT 'Positions whose rows were taken out at a person''s request, by a stage or afterwards: why they are in no table';

CREATE TABLE IF NOT EXISTS erasures
(
    request_id   UUID                           COMMENT 'The request to forget',
    project_id   LowCardinality(String)         COMMENT 'Tenant',
    round        UInt32                         COMMENT '1; further ones found what came in late',
    state        LowCardinality(String)         COMMENT 'started, done',
    mode         LowCardinality(String)         COMMENT 'anonymize, remove',
    salt         String                         COMMENT 'Of the stand-ins for identities; gone with the done row, so nobody can compute them again',
    identities   Map(String, UInt64)            COMMENT 'Kind -> how many identities were the person''s alone',
    rows_before  Map(String, UInt64)            COMMENT 'Table -> rows that held them',
    rows_after   Map(String, UInt64)            COMMENT 'Table -> rows that hold them still: all 0',
    request_hash String                         COMMENT 'SHA-256 of the request as it is in the control log',
    started_at   DateTime64(3, 'UTC')           COMMENT 'Begin of the round',
    done_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was proven; NULL while it is in work',
    version      UInt8                          COMMENT '1 started, 2 done'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, request_id, round)
COMMENT 'Proof of each erasure: what was there before, and that nothing is there after. Read with FINAL';

CREATE TABLE IF NOT EXISTS erasure_values
(
    request_id UUID                    COMMENT 'Request in work',
    kind       LowCardinality(String)  COMMENT 'user, contact, anonymous, click, session, fingerprint, conversion, email, visitor',
    value      String                  COMMENT 'Identity, as it stands in the tables'
)
ENGINE = ReplacingMergeTree
ORDER BY (request_id, kind, value)
COMMENT 'Scratch: the identities of a person who is being forgotten. Empty unless a request is in work';

CREATE OR REPLACE VIEW identity_rows
AS SELECT
    'events' AS stage, project_id, received_at, user_id, contact_id, anonymous_id, session_id, click_id, fingerprint,
    multiIf(conversion_id != toUUID('00000000-0000-0000-0000-000000000000'), toString(conversion_id),
            refund_of != toUUID('00000000-0000-0000-0000-000000000000'), toString(refund_of), '') AS conversion,
    '' AS sealed_email, kafka_partition, kafka_offset, kafka_index
FROM events
UNION ALL
SELECT
    'conversions' AS stage, project_id, received_at, user_id, contact_id, anonymous_id, session_id, click_id, fingerprint,
    toString(conversion_id) AS conversion, sealed_email, kafka_partition, kafka_offset, kafka_index
FROM conversion_arrivals
COMMENT 'The identities of each row of both facts';

CREATE OR REPLACE VIEW v_ledger
AS
-- As in 0006, and: a position is stored, or it was erased, by the stage or later. Which of the two a checkpoint counted it
-- as depends on when it was processed, their sum does not.
WITH
    (SELECT groupArray((toString(stage), kafka_partition, end_offset, received, stored, duplicate, rejected,
                        quarantined, erased, conflict)) FROM newest_checkpoints) AS snapshot,
    CAST((arrayMap(c -> concat(c.1, ':', toString(c.2)), snapshot), arrayMap(c -> c.3, snapshot))
         AS Map(String, UInt64)) AS ceilings,
    (SELECT CAST((groupArray(concat(stage, ':', toString(kafka_partition))), groupArray(sealed))
                 AS Map(String, UInt64)) FROM
        (SELECT stage, kafka_partition, max(seals.end_offset) AS sealed FROM seals GROUP BY stage, kafka_partition)
    ) AS floors
SELECT
    c.stage AS stage,
    c.received AS received,
    toUInt64(toInt64(c.stored + c.erased) - toInt64(f.erased)) AS stored,
    c.duplicate AS duplicate,
    c.rejected AS rejected,
    c.quarantined AS quarantined,
    f.erased AS erased,
    c.conflict AS conflict,
    f.positions AS open_positions,
    f.gone AS gone,
    toUInt64(
        abs(toInt64(c.received) - toInt64(c.stored + c.duplicate + c.rejected + c.quarantined + c.erased))
        + abs(toInt64(c.stored + c.erased) - toInt64(s.proven) - toInt64(f.positions + f.open_erased))
        + f.gone) AS imbalance
FROM
(
    SELECT one.1 AS stage, sum(one.4) AS received, sum(one.5) AS stored, sum(one.6) AS duplicate,
           sum(one.7) AS rejected, sum(one.8) AS quarantined, sum(one.9) AS erased, sum(one.10) AS conflict
    FROM (SELECT arrayJoin(snapshot) AS one)
    GROUP BY stage
) AS c
LEFT JOIN
(
    SELECT stage, sum(positions) AS positions, sum(gone) AS gone, sum(erased) AS erased, sum(open_erased) AS open_erased
    FROM
    (
        SELECT 'events' AS stage, count() AS positions,
               countIf((project_id, hour, event_id) NOT IN (SELECT project_id, hour, event_id FROM events)) AS gone,
               0 AS erased, 0 AS open_erased
        FROM event_log FINAL
        WHERE kafka_offset < ceilings[concat('events:', toString(kafka_partition))]
          AND kafka_offset >= floors[concat('events:', toString(kafka_partition))]
          AND (kafka_partition, kafka_offset, kafka_index) NOT IN
              (SELECT kafka_partition, kafka_offset, kafka_index FROM erased_positions WHERE stage = 'events')
        UNION ALL
        SELECT 'conversions' AS stage, count() AS positions, 0 AS gone, 0 AS erased, 0 AS open_erased
        FROM conversion_arrivals FINAL
        WHERE kafka_offset < ceilings[concat('conversions:', toString(kafka_partition))]
          AND kafka_offset >= floors[concat('conversions:', toString(kafka_partition))]
          AND (kafka_partition, kafka_offset, kafka_index) NOT IN
              (SELECT kafka_partition, kafka_offset, kafka_index FROM erased_positions WHERE stage = 'conversions')
        UNION ALL
        SELECT toString(stage) AS stage, 0 AS positions, 0 AS gone, count() AS erased,
               countIf(kafka_offset >= floors[concat(toString(stage), ':', toString(kafka_partition))]) AS open_erased
        FROM erased_positions FINAL
        WHERE kafka_offset < ceilings[concat(toString(stage), ':', toString(kafka_partition))]
        GROUP BY stage
    )
    GROUP BY stage
) AS f ON f.stage = c.stage
LEFT JOIN
(
    SELECT stage, sum(proven) AS proven
    FROM (SELECT toString(stage) AS stage, kafka_partition,
                 argMax(seals.stored + seals.erased, seals.end_offset) AS proven
          FROM seals GROUP BY stage, kafka_partition)
    GROUP BY stage
) AS s ON s.stage = c.stage
COMMENT 'received = stored + duplicate + rejected + quarantined + erased, and stored = rows really there: imbalance is 0'
