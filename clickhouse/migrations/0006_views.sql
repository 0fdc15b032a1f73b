-- 0006_views
-- Purpose : what analysts read. Safe without knowing any rule of the tables below.
-- Grain   : as the name says
-- Engine  : plain views, computed when read
-- Undo    : DROP VIEW
CREATE VIEW IF NOT EXISTS v_events
AS SELECT
    project_id, event_id, event_type, event_name, occurred_at, received_at, user_id, anonymous_id, session_id, visitor,
    url, path, referrer, source, medium, campaign, term, content, channel, revenue, currency, order_id, conversion_id,
    click_id, marks, trust, properties, context
FROM events FINAL
COMMENT 'Events, each once';

CREATE VIEW IF NOT EXISTS v_sessions
AS SELECT
    s.project_id AS project_id,
    s.session_id AS session_id,
    s.started_at AS started_at,
    s.ended_at AS ended_at,
    e.events AS events,
    e.pageviews AS pageviews,
    e.visitor AS visitor,
    if(s.entry.source = '', '(direct)', s.entry.source) AS source,
    if(s.entry.source = '', '(none)', s.entry.medium) AS medium,
    s.entry.campaign AS campaign,
    s.entry.term AS term,
    s.entry.content AS content,
    if(s.entry.source = '', 'Direct', s.entry.channel) AS channel,
    s.entry.referrer AS referrer
FROM
(
    SELECT project_id, session_id, min(started_at) AS started_at, max(ended_at) AS ended_at, min(entry) AS entry
    FROM sessions
    GROUP BY project_id, session_id
) AS s
INNER JOIN
(
    SELECT project_id, session_id, count() AS events, countIf(event_type = 'pageview') AS pageviews,
           argMin(visitor, (occurred_at, event_id)) AS visitor
    FROM events FINAL
    GROUP BY project_id, session_id
) AS e ON e.project_id = s.project_id AND e.session_id = s.session_id
COMMENT 'Sessions with the source of their first pageview; (direct) where it shows none';

CREATE VIEW IF NOT EXISTS v_conversions
AS SELECT
    c.project_id AS project_id,
    c.conversion_id AS conversion_id,
    c.kind AS kind,
    c.order_id AS order_id,
    c.user_id AS user_id,
    c.anonymous_id AS anonymous_id,
    c.session_id AS session_id,
    c.converted_at AS converted_at,
    c.received_at AS received_at,
    c.revenue AS revenue,
    c.currency AS currency,
    ['secret', 'token', 'public'][c.trust + 1] AS trust,
    c.arrivals AS arrivals,
    if(s.entry.source = '', '(direct)', s.entry.source) AS source,
    if(s.entry.source = '', '(none)', s.entry.medium) AS medium,
    s.entry.campaign AS campaign,
    if(s.entry.source = '', 'Direct', s.entry.channel) AS channel,
    c.properties AS properties
FROM (SELECT * FROM conversions WHERE is_conversion) AS c
LEFT JOIN
(
    SELECT project_id, session_id, min(entry) AS entry
    FROM sessions
    GROUP BY project_id, session_id
) AS s ON s.project_id = c.project_id AND s.session_id = c.session_id
COMMENT 'Conversions, each order once, with the source of their own session; credits say who is credited';

CREATE VIEW IF NOT EXISTS served_definitions
AS SELECT project_id, goal_id, max(definition) AS definition
FROM goal_definitions
WHERE run_id IN
(
    SELECT argMin(run_id, (run_id NOT IN
               (SELECT parent_id FROM runs WHERE number IN (SELECT run_number + 1 FROM goal_definitions)), run_id))
    FROM runs
    WHERE number IN (SELECT run_number FROM goal_definitions)
    GROUP BY number
)
GROUP BY project_id, goal_id
COMMENT 'The newest definition of each goal that has counted all history';

CREATE VIEW IF NOT EXISTS v_goal_stats
AS SELECT
    project_id, goal_id, cell, currency,
    sum(goal_totals.conversions) AS conversions,
    sum(goal_totals.revenue) AS revenue
FROM goal_totals
WHERE run_id IN (SELECT run_id FROM live_runs)
  AND (project_id, goal_id, definition) IN (SELECT project_id, goal_id, definition FROM served_definitions)
GROUP BY project_id, goal_id, cell, currency
HAVING conversions != 0 OR revenue != 0
COMMENT 'Conversions and revenue per goal, quarter of an hour and currency';

CREATE VIEW IF NOT EXISTS v_source_stats
AS SELECT
    project_id, scope, model, cell, source, medium, campaign, channel, currency,
    sum(source_totals.conversions) AS conversions,
    sum(source_totals.revenue) AS revenue
FROM source_totals
WHERE run_id IN (SELECT run_id FROM live_runs)
GROUP BY project_id, scope, model, cell, source, medium, campaign, channel, currency
HAVING conversions != 0 OR revenue != 0
COMMENT 'Conversions and revenue per source, quarter of an hour and currency';

CREATE VIEW IF NOT EXISTS v_credits
AS SELECT
    project_id, conversion_id, scope, model, touch_id, touched_at, matched_by, converted_at,
    source, medium, campaign, channel, currency,
    sum(credits.share) AS share,
    sum(credits.amount) AS amount
FROM credits
WHERE run_id IN (SELECT run_id FROM live_runs)
GROUP BY project_id, conversion_id, scope, model, touch_id, touched_at, matched_by, converted_at,
         source, medium, campaign, channel, currency
HAVING share != 0 OR amount != 0
COMMENT 'Who is credited for each conversion, net of all corrections';

CREATE TABLE IF NOT EXISTS seals
(
    stage           LowCardinality(String)  COMMENT 'Stage',
    topic_id        String                  COMMENT 'Topic',
    kafka_partition UInt16                  COMMENT 'Partition',
    end_offset      UInt64                  COMMENT 'Proven below this offset',
    received        UInt64                  COMMENT 'Received below end_offset, as proven',
    stored          UInt64                  COMMENT 'Stored below end_offset, as proven',
    sealed_at       DateTime64(3, 'UTC')    COMMENT 'For people only'
)
ENGINE = ReplacingMergeTree
ORDER BY (stage, topic_id, kafka_partition, end_offset)
COMMENT 'Days whose count was proven to be whole and is kept; later proofs begin here';

CREATE VIEW IF NOT EXISTS newest_checkpoints
AS SELECT
    stage, topic_id, kafka_partition,
    max(checkpoints.end_offset) AS end_offset,
    argMax(received, checkpoints.end_offset) AS received,
    argMax(stored, checkpoints.end_offset) AS stored,
    argMax(duplicate, checkpoints.end_offset) AS duplicate,
    argMax(rejected, checkpoints.end_offset) AS rejected,
    argMax(quarantined, checkpoints.end_offset) AS quarantined,
    argMax(erased, checkpoints.end_offset) AS erased,
    argMax(conflict, checkpoints.end_offset) AS conflict,
    argMax(clock, checkpoints.end_offset) AS clock,
    argMax(control_offset, checkpoints.end_offset) AS control_offset
FROM checkpoints
GROUP BY stage, topic_id, kafka_partition
COMMENT 'How far each stage is, by partition';

CREATE VIEW IF NOT EXISTS v_ledger
AS
-- All counts come from one reading of the checkpoints, made before the facts are read: what is stored meanwhile lies
-- beyond it, so the balance closes while events flow.
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
    c.stored AS stored,
    c.duplicate AS duplicate,
    c.rejected AS rejected,
    c.quarantined AS quarantined,
    c.erased AS erased,
    c.conflict AS conflict,
    f.positions AS open_positions,
    f.gone AS gone,
    toUInt64(
        abs(toInt64(c.received) - toInt64(c.stored + c.duplicate + c.rejected + c.quarantined + c.erased))
        + abs(toInt64(c.stored) - toInt64(s.stored) - toInt64(f.positions))
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
    SELECT 'events' AS stage, count() AS positions,
           countIf((project_id, hour, event_id) NOT IN (SELECT project_id, hour, event_id FROM events)) AS gone
    FROM event_log FINAL
    WHERE kafka_offset < ceilings[concat('events:', toString(kafka_partition))]
      AND kafka_offset >= floors[concat('events:', toString(kafka_partition))]
    UNION ALL
    SELECT 'conversions' AS stage, count() AS positions, 0 AS gone
    FROM conversion_arrivals FINAL
    WHERE kafka_offset < ceilings[concat('conversions:', toString(kafka_partition))]
      AND kafka_offset >= floors[concat('conversions:', toString(kafka_partition))]
) AS f ON f.stage = c.stage
LEFT JOIN
(
    SELECT stage, sum(stored) AS stored
    FROM (SELECT toString(stage) AS stage, kafka_partition, argMax(seals.stored, seals.end_offset) AS stored
          FROM seals GROUP BY stage, kafka_partition)
    GROUP BY stage
) AS s ON s.stage = c.stage
COMMENT 'received = stored + duplicate + rejected + quarantined + erased, and stored = rows really there: imbalance is 0';
