-- 0010_refunds
-- Purpose : refunds: what was asked to be refunded, and what of it applies to which conversion.
-- Grain   : refunds: project_id, what is refunded, refund_id of the client. conversion_refunds: one refund of a conversion
-- Engine  : ReplacingMergeTree(version): the first position wins. What applies is computed when read, so that a refund
--           finds its sale whichever of the two arrives first
-- Undo    : DROP the views and tables made here, and put back the views of 0002, 0005 and 0006; columns may stay
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS refund_id String DEFAULT '' COMMENT 'Of a refund: the client''s id of it, else empty',
    ADD COLUMN IF NOT EXISTS refund_of UUID DEFAULT toUUID('00000000-0000-0000-0000-000000000000')
        COMMENT 'Of a refund: the conversion, where it is known; else zeroes, and order_id names the order';

CREATE TABLE IF NOT EXISTS refunds
(
    project_id  LowCardinality(String)    COMMENT 'Tenant',
    kind        LowCardinality(String)    COMMENT 'What key is: conversion (its id), order (kinds of conversions not told apart)',
    key         String                    COMMENT 'What is refunded',
    refund_id   String                    COMMENT 'The client''s id of the refund: sent again, it is the same refund',
    event_id    UUID                      COMMENT 'The event that asked for it',
    refunded_at DateTime64(3, 'UTC')      COMMENT 'Time of the refund',
    received_at DateTime64(3, 'UTC')      COMMENT 'Time of receipt',
    asked       Nullable(Decimal(18, 4))  COMMENT 'Amount asked for; NULL: all that is left',
    currency    LowCardinality(String)    COMMENT 'ISO 4217 as stated; empty: that of the sale',
    version     UInt64                    COMMENT 'The first position wins'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, kind, key, refund_id)
SETTINGS index_granularity = 1024
COMMENT 'Facts: refunds as asked for with a secret key. Read conversion_refunds for what applies';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_refunds TO refunds
AS SELECT
    e.project_id AS project_id,
    if(e.refund_of = toUUID('00000000-0000-0000-0000-000000000000'), 'order', 'conversion') AS kind,
    if(e.refund_of = toUUID('00000000-0000-0000-0000-000000000000'), e.order_id, toString(e.refund_of)) AS key,
    e.refund_id AS refund_id, e.event_id AS event_id, e.occurred_at AS refunded_at, e.received_at AS received_at,
    -e.revenue AS asked, e.currency AS currency, e.version AS version
FROM events AS e
WHERE e.event_type = 'refund' AND e.trust = 0 AND e.refund_id != '';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_person_keys_orders TO person_keys
AS SELECT DISTINCT
    a.project_id AS project_id, 'order' AS kind, a.order_id AS key, 'conversion' AS carrier_kind,
    toString(a.conversion_id) AS carrier
FROM conversion_arrivals AS a
WHERE a.order_id != '';

INSERT INTO person_keys (project_id, kind, key, carrier_kind, carrier)
SELECT DISTINCT a.project_id, 'order', a.order_id, 'conversion', toString(a.conversion_id)
FROM conversion_arrivals AS a
WHERE a.order_id != '';

ALTER TABLE mv_sessions MODIFY QUERY
SELECT
    project_id, session_id,
    min(occurred_at) AS started_at,
    max(occurred_at) AS ended_at,
    min(if(touch = '',
        (toDateTime64('2299-01-01 00:00:00', 3, 'UTC'), event_id, '', '', '', '', '', '', ''),
        (occurred_at, event_id, toString(touch_source), toString(touch_medium), toString(touch_campaign),
         toString(touch_term), toString(touch_content), toString(touch_channel), referrer)))
    AS entry
FROM events
WHERE session_id != ''
GROUP BY project_id, session_id;

-- What applies: of the conversions of one run (scope_id: run_conversions, so that the booker's look-ups stay look-ups), or
-- with zeroes as the scope of all conversions of a project (of_project), which if empty is any.
--   1. A refund that names its conversion, or the kind and order of it, is of that one. One that names only the order is
--      of the conversion with money that was received first under that order; reports that merely mention it come last.
--   2. One refund_id refunds a conversion once: the first received counts.
--   3. In the order of (refunded_at, refund_id) each gets what is left of the gross, and no more.
--   4. Sums are never mixed: a refund that states another currency than the sale has applies nothing.
CREATE VIEW IF NOT EXISTS applied_refunds
AS WITH
    {scope_id:UUID} = toUUID('00000000-0000-0000-0000-000000000000') AS unscoped,
    asking AS
    (
        SELECT r.project_id AS project_id, toString(r.kind) AS kind, r.key AS key, r.refund_id AS refund_id,
               (r.event_id, r.refunded_at, r.asked, toString(r.currency)) AS said, r.received_at AS received_at
        FROM refunds AS r FINAL
        WHERE ({of_project:String} = '' OR r.project_id = {of_project:String}) AND (unscoped OR (r.project_id, r.kind, r.key) IN
        (
            SELECT project_id, 'conversion', toString(conversion_id) FROM run_conversions WHERE run_id = {scope_id:UUID}
            UNION ALL
            SELECT a.project_id, arrayJoin(['order', 'conversion']), a.order_id
            FROM conversion_arrivals AS a
            WHERE a.order_id != '' AND (a.project_id, a.conversion_id) IN
                  (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID})
        ))
    ),
    carried AS
    (
        -- What was taken for the id of a conversion may be an order id that looks like one.
        SELECT p.project_id AS project_id, arrayJoin(['order', 'conversion']) AS kind, p.key AS key,
               toUUID(p.carrier) AS conversion_id
        FROM person_keys AS p
        WHERE p.kind = 'order' AND p.carrier_kind = 'conversion'
          AND (p.project_id, p.kind, p.key) IN (SELECT project_id, 'order', key FROM asking)
        UNION DISTINCT
        SELECT project_id, kind, key, toUUID(key) AS conversion_id FROM asking WHERE kind = 'conversion'
    ),
    sold AS
    (
        -- What each key stands for: one conversion.
        SELECT k.project_id AS project_id, k.kind AS kind, k.key AS key,
               argMin((c.conversion_id, c.converted_at, toString(c.currency), c.revenue,
                       c.is_conversion),
                      (toString(c.conversion_id) != k.key, NOT c.is_conversion, c.received_at, c.conversion_id)) AS sale
        FROM carried AS k
        INNER JOIN
        (
            SELECT project_id, conversion_id, is_conversion, received_at, converted_at, currency, revenue
            FROM conversions
            WHERE (project_id, conversion_id) IN (SELECT project_id, conversion_id FROM carried)
        ) AS c ON c.project_id = k.project_id AND c.conversion_id = k.conversion_id
        WHERE c.revenue > 0
        GROUP BY project_id, kind, key
    ),
    once AS
    (
        SELECT r.project_id AS project_id, s.sale.1 AS conversion_id, r.refund_id AS refund_id,
               argMin(r.said, (r.received_at, r.said.1)) AS first,
               any(s.sale.2) AS converted_at, any(s.sale.3) AS currency, any(assumeNotNull(s.sale.4)) AS gross,
               any(s.sale.5) AS is_conversion
        FROM asking AS r
        INNER JOIN sold AS s ON s.project_id = r.project_id AND s.kind = r.kind AND s.key = r.key
        WHERE unscoped OR (r.project_id, s.sale.1) IN
              (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID})
        GROUP BY project_id, conversion_id, refund_id
    ),
    summed AS
    (
        SELECT o.project_id AS project_id, o.conversion_id AS conversion_id, o.refund_id AS refund_id, o.first AS first,
               o.converted_at AS converted_at, o.currency AS currency, o.is_conversion AS is_conversion,
               toDecimal128(o.gross, 4) AS gross,
               ifNull(toDecimal128(o.first.3, 4), toDecimal128(o.gross, 4)) AS wanted,
               sum(wanted) OVER
                   (PARTITION BY o.project_id, o.conversion_id ORDER BY o.first.2, o.refund_id
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS so_far
        FROM once AS o
        WHERE o.first.4 = '' OR o.currency = '' OR o.first.4 = o.currency
    )
SELECT
    s.project_id AS project_id, s.conversion_id AS conversion_id, s.first.1 AS refund_id,
    s.refund_id AS client_refund_id, s.first.2 AS refunded_at, s.converted_at AS converted_at,
    s.currency AS currency, toDecimal64(s.gross, 4) AS gross, s.first.3 AS asked,
    toDecimal64(least(s.gross, s.so_far) - least(s.gross, s.so_far - s.wanted), 4) AS amount,
    toBool(s.is_conversion) AS is_conversion
FROM summed AS s
COMMENT 'Refunds as far as they apply, of the conversions of one run; conversion_refunds has all';

CREATE TABLE IF NOT EXISTS run_refunds
(
    run_id           UUID                      COMMENT 'Run that looks at it',
    project_id       LowCardinality(String)    COMMENT 'Tenant',
    conversion_id    UUID                      COMMENT 'Conversion refunded',
    refund_id        UUID                      COMMENT 'Event of the refund',
    client_refund_id String                    COMMENT 'The client''s id of the refund',
    refunded_at      DateTime64(3, 'UTC')      COMMENT 'Time of the refund',
    converted_at     DateTime64(3, 'UTC')      COMMENT 'Time of the sale',
    currency         LowCardinality(String)    COMMENT 'ISO 4217, of the sale',
    amount           Decimal(18, 4)            COMMENT 'What applies: exact, positive',
    made_at          DateTime DEFAULT now()    COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (run_id, project_id, conversion_id)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: applied_refunds of the conversions of a run';

CREATE VIEW IF NOT EXISTS conversion_refunds
AS SELECT
    project_id, conversion_id, refund_id, client_refund_id, refunded_at, converted_at, currency, gross, asked, amount,
    is_conversion
FROM applied_refunds(scope_id = '00000000-0000-0000-0000-000000000000', of_project = '')
COMMENT 'Refunds as far as they apply: amounts of a conversion never add up to more than its gross';

-- Goals: a refund is no hit. What it takes back is kept beside the hit's money, on the day of the sale.
ALTER TABLE goal_bookings
    ADD COLUMN IF NOT EXISTS refunded Decimal(18, 4) DEFAULT 0 COMMENT 'Refunded of revenue so far: exact, signed as revenue is';

CREATE TABLE IF NOT EXISTS goal_refunds
(
    project_id  LowCardinality(String)  COMMENT 'Tenant',
    goal_id     UUID                    COMMENT 'Goal',
    definition  UInt32                  COMMENT 'Definition of the goal',
    cell        DateTime64(3, 'UTC')    COMMENT 'Quarter of an hour of the hit, not of the refund',
    currency    LowCardinality(String)  COMMENT 'ISO 4217; sums are never mixed',
    run_number  UInt64                  COMMENT 'Run of the entries',
    run_id      UUID                    COMMENT 'Run of the entries: readers count live_runs only',
    refunded    Decimal(38, 4)          COMMENT 'Sum of entries'
)
ENGINE = SummingMergeTree(refunded)
ORDER BY (project_id, goal_id, definition, cell, currency, run_number, run_id)
COMMENT 'Refunded money per goal and quarter of an hour: what goal_totals is to revenue. Read v_goal_stats';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_goal_refunds TO goal_refunds
AS SELECT
    project_id, goal_id, definition, cell, currency, run_number, run_id,
    sum(toDecimal128(goal_bookings.refunded, 4)) AS refunded
FROM goal_bookings
WHERE goal_bookings.refunded != 0
GROUP BY project_id, goal_id, definition, cell, currency, run_number, run_id;

CREATE OR REPLACE VIEW v_goal_stats
AS SELECT
    project_id, goal_id, cell, currency,
    sum(t.n) AS conversions,
    sum(t.booked) - sum(t.returned) AS revenue,
    sum(t.booked) AS gross,
    sum(t.returned) AS refunded
FROM
(
    SELECT project_id, goal_id, definition, cell, currency, run_id, g.conversions AS n, g.revenue AS booked,
           toDecimal128(0, 4) AS returned
    FROM goal_totals AS g
    UNION ALL
    SELECT project_id, goal_id, definition, cell, currency, run_id, toInt64(0) AS n, toDecimal128(0, 4) AS booked,
           g.refunded AS returned
    FROM goal_refunds AS g
) AS t
WHERE run_id IN (SELECT run_id FROM live_runs)
  AND (project_id, goal_id, definition) IN (SELECT project_id, goal_id, definition FROM served_definitions)
GROUP BY project_id, goal_id, cell, currency
HAVING conversions != 0 OR gross != 0 OR refunded != 0
COMMENT 'Conversions and revenue per goal, quarter of an hour and currency. Revenue is gross less refunded, on the day of the sale';

CREATE OR REPLACE VIEW v_conversions
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
    c.properties AS properties,
    r.returned AS refunded,
    c.revenue - r.returned AS net
FROM (SELECT * FROM conversions WHERE is_conversion) AS c
LEFT JOIN
(
    SELECT project_id, session_id, min(entry) AS entry
    FROM sessions
    GROUP BY project_id, session_id
) AS s ON s.project_id = c.project_id AND s.session_id = c.session_id
LEFT JOIN
(
    SELECT project_id, conversion_id, toDecimal64(sum(toDecimal128(f.amount, 4)), 4) AS returned
    FROM conversion_refunds AS f
    GROUP BY project_id, conversion_id
) AS r ON r.project_id = c.project_id AND r.conversion_id = c.conversion_id
COMMENT 'Conversions, each order once, with the source of their own session; revenue is gross, net is what refunds left of it';
