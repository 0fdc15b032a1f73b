-- 0013_models
-- Purpose : data-driven models: who earned the conversions of a period. And which runs made the books as they once were.
-- Grain   : model_runs: project_id, run_id (a function of what was asked and of the inputs). model_shares: a value of it
-- Engine  : ReplacingMergeTree: the same inputs give the same rows. Shares are written first; a run without its row is none
-- Undo    : DROP VIEW runs_as_of; DROP TABLE model_shares; DROP TABLE model_runs. All can be computed again
CREATE TABLE IF NOT EXISTS model_runs
(
    project_id      LowCardinality(String)  COMMENT 'Tenant',
    run_id          UUID                    COMMENT 'Function of all that was asked and of inputs_hash',
    model           LowCardinality(String)  COMMENT 'markov, shapley',
    model_order     UInt8                   COMMENT 'Of markov: how many touches a state remembers. 0 for shapley',
    dimension       LowCardinality(String)  COMMENT 'What a value is: source, medium, campaign, channel',
    first_day       Date32                  COMMENT 'First day of the period, in its zone',
    last_day        Date32                  COMMENT 'Last day, inclusive',
    time_zone       LowCardinality(String)  COMMENT 'Zone of these days',
    from_ms         Int64                   COMMENT 'The period in Unix ms, inclusive',
    to_ms           Int64                   COMMENT 'Its end, exclusive',
    inputs_hash     String                  COMMENT 'SHA-256 of the sorted path counts and of the revenue',
    book_run        UInt64                  COMMENT 'Run of the booker it read: reports with as_of of this number agree with it',
    conversions     UInt64                  COMMENT 'Paths that ended in a conversion: all conversions of the period',
    lost_paths      UInt64                  COMMENT 'Paths that ended in none',
    cut_paths       UInt64                  COMMENT 'Of all of them, those longer than 100 steps: the last 100 were read',
    grouped_values  UInt32                  COMMENT 'Rarest values that were taken together as (other)',
    created_at      DateTime64(3, 'UTC')    COMMENT 'When it was computed'
)
ENGINE = ReplacingMergeTree
ORDER BY (project_id, run_id)
COMMENT 'Runs of data-driven models. Read with FINAL';

CREATE TABLE IF NOT EXISTS model_shares
(
    project_id      LowCardinality(String)                          COMMENT 'Tenant',
    run_id          UUID                                            COMMENT 'Run; counts if it has its row in model_runs',
    value           String                                          COMMENT 'Source, medium, campaign or channel; (other) for the rarest',
    weight          Decimal(18, 9)                                  COMMENT 'Part of what was earned; a run''s sum to 1 exactly',
    conversions     Decimal(38, 9)                                  COMMENT 'weight of all conversions; they sum to these exactly',
    revenue         Map(LowCardinality(String), Decimal(38, 4))     COMMENT 'By currency: weight of all revenue, net of refunds; sums are exact',
    refunded        Map(LowCardinality(String), Decimal(38, 4))     COMMENT 'By currency: weight of all refunds, 0 or more; sums are exact'
)
ENGINE = ReplacingMergeTree
ORDER BY (project_id, run_id, value)
COMMENT 'What each value earned by a run of a data-driven model. Read with FINAL';

CREATE VIEW IF NOT EXISTS runs_as_of
AS
-- As live_runs was when run as_of was the newest: later runs are not there yet, and neither are later folds. Entries of
-- folded runs stay, so what these runs add up to never changes.
WITH (SELECT max(covers_to) FROM committed_folds WHERE level = 1 AND number <= {as_of:UInt64}) AS folded
SELECT number, winner.1 AS run_id, winner.2 AS level
FROM
(
    SELECT number,
           argMin((run_id, level), (run_id NOT IN (SELECT parent_id FROM runs WHERE number > folded), run_id)) AS winner
    FROM runs
    WHERE number > folded AND number <= {as_of:UInt64}
    GROUP BY number
)
WHERE winner.2 = 0
UNION ALL
SELECT number, run_id, level
FROM committed_folds
WHERE number <= {as_of:UInt64}
  AND number > (SELECT CAST((groupArray(toUInt8(level - 1)), groupArray(covered)) AS Map(UInt8, UInt64))
                FROM (SELECT level, max(covers_to) AS covered FROM committed_folds WHERE number <= {as_of:UInt64}
                      GROUP BY level))[level]
COMMENT 'runs_as_of(as_of = n): the runs whose entries add up to the books as they were when run n was the newest';
