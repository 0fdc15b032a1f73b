-- 0005_books
-- Purpose : the ledger. Entries are only ever added, by numbered runs; an entry counts if its run is committed.
-- Grain   : goal_bookings: goal, definition, hit, +/-. credits: conversion, scope, model, touch, +/-. runs: a run
-- Engine  : MergeTree for entries; the views carry the run in their key, so they stay incremental and exact
-- Undo    : DROP the views, then the tables; the booker books everything again
CREATE TABLE IF NOT EXISTS runs
(
    number         UInt64               COMMENT 'Runs are numbered without gaps; as_of is such a number',
    run_id         UUID                 COMMENT 'Entries name it. Two runs of one number: see committed_runs',
    parent_id      UUID                 COMMENT 'Run this one was computed on',
    kind           LowCardinality(String) COMMENT 'book: books facts; fold: entries of covered runs, added up; sweep: books what a full check found',
    covers_from    UInt64               COMMENT 'First run folded into this one (kind fold)',
    covers_to      UInt64               COMMENT 'Last run folded into this one (kind fold)',
    level          UInt8                COMMENT '0 for book and sweep; a fold of level n replaces all earlier runs of level n - 1',
    offsets        Map(String, UInt64)  COMMENT 'stage:topic id:partition -> end offset booked so far',
    control_offset UInt64               COMMENT 'Control log applied so far',
    hits           Int64                COMMENT 'Goal entries inserted',
    credits        Int64                COMMENT 'Credit entries inserted',
    started_at     DateTime64(3, 'UTC') COMMENT 'For people only',
    committed_at   DateTime64(3, 'UTC') COMMENT 'Time of the commit: as_of by time looks here'
)
ENGINE = MergeTree
ORDER BY (level, number, run_id)
COMMENT 'Commit rows of the booker: written last, so entries of a run that died count for nothing';

CREATE VIEW IF NOT EXISTS committed_runs
AS SELECT
    number,
    argMin(run_id, (run_id NOT IN (SELECT parent_id FROM runs), run_id)) AS run_id
FROM runs
GROUP BY number
COMMENT 'One run a number: of two, the one that a later run was computed on, else the lowest id';

CREATE VIEW IF NOT EXISTS committed_folds
AS SELECT number, run_id, level, covers_from, covers_to
FROM runs
WHERE level > 0 AND run_id IN
(
    SELECT argMin(run_id, (run_id NOT IN
               (SELECT parent_id FROM runs WHERE number IN (SELECT number + 1 FROM runs WHERE level > 0)), run_id))
    FROM runs
    WHERE number IN (SELECT number FROM runs WHERE level > 0)
    GROUP BY number
)
COMMENT 'Folds that count';

CREATE VIEW IF NOT EXISTS live_runs
AS
WITH (SELECT max(covers_to) FROM committed_folds WHERE level = 1) AS folded
SELECT number, winner.1 AS run_id, winner.2 AS level
FROM
(
    SELECT number,
           argMin((run_id, level), (run_id NOT IN (SELECT parent_id FROM runs WHERE number > folded), run_id)) AS winner
    FROM runs
    WHERE number > folded
    GROUP BY number
)
WHERE winner.2 = 0
UNION ALL
SELECT number, run_id, level
FROM committed_folds
WHERE number > (SELECT CAST((groupArray(toUInt8(level - 1)), groupArray(covered)) AS Map(UInt8, UInt64))
                FROM (SELECT level, max(covers_to) AS covered FROM committed_folds GROUP BY level))[level]
COMMENT 'Committed runs that no committed fold has replaced: the entries of these add up to the truth';

CREATE TABLE IF NOT EXISTS goals
(
    project_id  LowCardinality(String)    COMMENT 'Tenant',
    goal_id     UUID                      COMMENT 'Goal',
    version     UInt64                    COMMENT 'Version in the control log',
    definition  UInt32                    COMMENT 'Counts up when a match field changes; bookings belong to a definition',
    name        String                    COMMENT 'Display name',
    type        LowCardinality(String)    COMMENT 'pageview, event, custom, event_name, event_type, conversion',
    match_type  LowCardinality(String)    COMMENT 'exact, contains, regex',
    match_value String                    COMMENT 'Matched against path, name or type',
    currency    LowCardinality(String)    COMMENT 'ISO 4217, or empty',
    deleted     Bool                      COMMENT 'No new hits; history stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, goal_id)
COMMENT 'Copy of the control log''s goals';

CREATE TABLE IF NOT EXISTS projects
(
    project_id LowCardinality(String)  COMMENT 'Tenant',
    version    UInt64                  COMMENT 'Version in the control log',
    name       String                  COMMENT 'Display name',
    site_key   String                  COMMENT 'Names the project in the goals API',
    time_zone  LowCardinality(String)  COMMENT 'Days of reports',
    lookback_days UInt16               COMMENT 'Lookback of attribution; 0: the default of the installation',
    deleted    Bool                    COMMENT 'Deleted'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY project_id
COMMENT 'Copy of the control log''s projects';

CREATE TABLE IF NOT EXISTS goal_sets
(
    set_id      UUID                    COMMENT 'Goals as a run sees them; made anew when the control log changes them',
    project_id  LowCardinality(String)  COMMENT 'Tenant',
    goal_id     UUID                    COMMENT 'Goal',
    definition  UInt32                  COMMENT 'Definition of the goal',
    complete    Bool                    COMMENT 'It has counted all history: new facts are enough',
    type        LowCardinality(String)  COMMENT 'pageview, event, custom, event_name, event_type, conversion',
    match_type  LowCardinality(String)  COMMENT 'exact, contains, regex',
    match_value String                  COMMENT 'Matched against path, name or type',
    made_at     DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (set_id, project_id)
TTL made_at + toIntervalDay(7)
COMMENT 'Scratch of the booker: the goals a run matches';

CREATE TABLE IF NOT EXISTS run_conversions
(
    run_id        UUID                    COMMENT 'Run that looks at it',
    project_id    LowCardinality(String)  COMMENT 'Tenant',
    conversion_id UUID                    COMMENT 'Conversion with a new arrival, or that a new touch may concern',
    made_at       DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (run_id, project_id, conversion_id)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: the conversions a run computes anew';

CREATE TABLE IF NOT EXISTS run_sessions
(
    run_id        UUID                    COMMENT 'Run that looks at it',
    project_id    LowCardinality(String)  COMMENT 'Tenant',
    conversion_id UUID                    COMMENT 'Conversion',
    converted_at  DateTime64(3, 'UTC')    COMMENT 'Its time: later touches never count',
    looks_back_to DateTime64(3, 'UTC')    COMMENT 'Earlier touches do not count',
    session_id    String                  COMMENT 'Session that carries one of its keys',
    matched_by    LowCardinality(String)  COMMENT 'The key: click, session, user, anonymous',
    rank          UInt8                   COMMENT 'Of the key; the lowest is the best',
    made_at       DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (run_id, project_id, session_id)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: the sessions that may be credited for the conversions of a run';

CREATE TABLE IF NOT EXISTS goal_definitions
(
    run_id     UUID                    COMMENT 'Run in which the definition had counted all history',
    run_number UInt64                  COMMENT 'Its number',
    project_id LowCardinality(String)  COMMENT 'Tenant',
    goal_id    UUID                    COMMENT 'Goal',
    definition UInt32                  COMMENT 'Complete from this run on: the newest complete one is served'
)
ENGINE = MergeTree
ORDER BY (project_id, goal_id, definition)
COMMENT 'Which definition of a goal is complete since which run';

CREATE TABLE IF NOT EXISTS goal_bookings
(
    run_id      UUID                    COMMENT 'Counts if the run is committed',
    run_number  UInt64                  COMMENT 'Its number',
    project_id  LowCardinality(String)  COMMENT 'Tenant',
    goal_id     UUID                    COMMENT 'Goal',
    definition  UInt32                  COMMENT 'Definition of the goal that matched',
    hit_id      UUID                    COMMENT 'conversion_id where the event is a conversion or names an order, else event_id',
    cell        DateTime64(3, 'UTC')    COMMENT 'Quarter of an hour of occurred_at',
    occurred_at DateTime64(3, 'UTC')    COMMENT 'Time of the hit',
    person      String                  COMMENT 'User, else visitor: unique converters count these',
    currency    LowCardinality(String)  COMMENT 'ISO 4217; empty without revenue',
    conversions Int32                   COMMENT '+1 booked, -1 taken back, 0 if only the money changed',
    revenue     Decimal(18, 4)          COMMENT 'Exact, signed',
    INDEX by_hit hit_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_run run_number TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYear(cell)
ORDER BY (project_id, goal_id, definition, cell, hit_id)
COMMENT 'Book: hits of goals, added and taken back. sum() over live runs is the truth';

CREATE TABLE IF NOT EXISTS goal_totals
(
    project_id  LowCardinality(String)  COMMENT 'Tenant',
    goal_id     UUID                    COMMENT 'Goal',
    definition  UInt32                  COMMENT 'Definition of the goal',
    cell        DateTime64(3, 'UTC')    COMMENT 'Quarter of an hour',
    currency    LowCardinality(String)  COMMENT 'ISO 4217; sums are never mixed',
    run_number  UInt64                  COMMENT 'Run of the entries',
    run_id      UUID                    COMMENT 'Run of the entries: readers count live_runs only',
    conversions Int64                   COMMENT 'Sum of entries',
    revenue     Decimal(38, 4)          COMMENT 'Sum of entries'
)
ENGINE = SummingMergeTree((conversions, revenue))
ORDER BY (project_id, goal_id, definition, cell, currency, run_number, run_id)
COMMENT 'Conversions and revenue per goal and quarter of an hour. Read v_goal_stats';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_goal_totals TO goal_totals
AS SELECT
    project_id, goal_id, definition, cell, currency, run_number, run_id,
    sum(toInt64(goal_bookings.conversions)) AS conversions,
    sum(toDecimal128(goal_bookings.revenue, 4)) AS revenue
FROM goal_bookings
GROUP BY project_id, goal_id, definition, cell, currency, run_number, run_id;

CREATE TABLE IF NOT EXISTS credits
(
    run_id        UUID                    COMMENT 'Counts if the run is committed',
    run_number    UInt64                  COMMENT 'Its number',
    project_id    LowCardinality(String)  COMMENT 'Tenant',
    conversion_id UUID                    COMMENT 'Conversion',
    scope         LowCardinality(String)  COMMENT 'Touches considered: all',
    model         LowCardinality(String)  COMMENT 'Attribution model: last_touch',
    touch_id      UUID                    COMMENT 'Touch credited; zeroes for direct',
    touched_at    DateTime64(3, 'UTC')    COMMENT 'Time of the touch; of the conversion for direct',
    matched_by    LowCardinality(String)  COMMENT 'Key that tied the touch to the conversion: click, session, user, anonymous; empty for direct',
    converted_at  DateTime64(3, 'UTC')    COMMENT 'Time of the conversion',
    cell          DateTime64(3, 'UTC')    COMMENT 'Quarter of an hour of converted_at',
    source        LowCardinality(String)  COMMENT 'Source credited',
    medium        LowCardinality(String)  COMMENT 'Medium credited',
    campaign      LowCardinality(String)  COMMENT 'Campaign credited',
    channel       LowCardinality(String)  COMMENT 'Channel credited',
    currency      LowCardinality(String)  COMMENT 'ISO 4217; empty without revenue',
    share         Decimal(18, 9)          COMMENT 'Part of the conversion, signed',
    amount        Decimal(18, 4)          COMMENT 'Part of the revenue, exact, signed',
    INDEX by_conversion conversion_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_run run_number TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYear(cell)
ORDER BY (project_id, scope, model, cell, conversion_id)
COMMENT 'Book: who gets credit for a conversion. sum() over live runs is the truth';

CREATE TABLE IF NOT EXISTS source_totals
(
    project_id  LowCardinality(String)  COMMENT 'Tenant',
    scope       LowCardinality(String)  COMMENT 'Touches considered',
    model       LowCardinality(String)  COMMENT 'Attribution model',
    cell        DateTime64(3, 'UTC')    COMMENT 'Quarter of an hour of the conversion',
    source      LowCardinality(String)  COMMENT 'Source credited',
    medium      LowCardinality(String)  COMMENT 'Medium credited',
    campaign    LowCardinality(String)  COMMENT 'Campaign credited',
    channel     LowCardinality(String)  COMMENT 'Channel credited',
    currency    LowCardinality(String)  COMMENT 'ISO 4217; sums are never mixed',
    run_number  UInt64                  COMMENT 'Run of the entries',
    run_id      UUID                    COMMENT 'Run of the entries: readers count live_runs only',
    conversions Decimal(38, 9)          COMMENT 'Sum of shares',
    revenue     Decimal(38, 4)          COMMENT 'Sum of amounts'
)
ENGINE = SummingMergeTree((conversions, revenue))
ORDER BY (project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id)
COMMENT 'Conversions and revenue per source and quarter of an hour. Read v_source_stats';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_source_totals TO source_totals
AS SELECT
    project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id,
    sum(toDecimal128(credits.share, 9)) AS conversions,
    sum(toDecimal128(credits.amount, 4)) AS revenue
FROM credits
GROUP BY project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id;
