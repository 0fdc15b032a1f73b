-- 0007_links
-- Purpose : clicks on links, and what ties a conversion to one: its click id, else the fingerprint of its visitor.
-- Grain   : clicks: project_id, touch_id (the event). click_keys: one key of one click
-- Engine  : ReplacingMergeTree(version): the first position wins. Filled from events, which can fill them again
-- Undo    : DROP the views and tables made here; the added columns may stay
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS link_id UInt64 DEFAULT 0 COMMENT 'Link whose redirect recorded this click, else 0';

ALTER TABLE conversion_arrivals
    ADD COLUMN IF NOT EXISTS defaulted Bool DEFAULT false
        COMMENT 'Revenue is the default of the goal: counts as missing while another arrival states an amount',
    ADD COLUMN IF NOT EXISTS goal_id String DEFAULT ''
        COMMENT 'Link goal whose token reported this, else empty',
    ADD COLUMN IF NOT EXISTS window_days UInt16 DEFAULT 0
        COMMENT 'Attribution window of that goal; 0: the lookback of the project';

CREATE TABLE IF NOT EXISTS clicks
(
    project_id  LowCardinality(String)         COMMENT 'Tenant',
    link_id     UInt64                         COMMENT 'Link',
    clicked_at  DateTime64(3, 'UTC')           COMMENT 'Time of the redirect',
    touch_id    UUID                           COMMENT 'Event of the click',
    click_id    String                         COMMENT 'As it was appended to the destination: digits of an integer below 2^53',
    marks       Array(LowCardinality(String))  COMMENT 'bot, prefetch: kept, but not counted as clicks',
    referrer    String                         COMMENT 'Page the link was on, where the browser said so',
    source      LowCardinality(String)         COMMENT 'By the UTM parameters of the link, else its referrer',
    medium      LowCardinality(String)         COMMENT 'Medium',
    campaign    LowCardinality(String)         COMMENT 'Campaign',
    channel     LowCardinality(String)         COMMENT 'Channel group',
    version     UInt64                         COMMENT 'The first position wins'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, link_id, clicked_at, touch_id)
COMMENT 'Facts: one row a click on a link. Read with FINAL';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_clicks TO clicks
AS SELECT
    project_id, link_id, occurred_at AS clicked_at, event_id AS touch_id, click_id, marks, referrer,
    touch_source AS source, touch_medium AS medium, touch_campaign AS campaign, touch_channel AS channel, version
FROM events
WHERE touch = 'click';

CREATE TABLE IF NOT EXISTS click_keys
(
    project_id  LowCardinality(String)  COMMENT 'Tenant',
    kind        LowCardinality(String)  COMMENT 'click, fingerprint',
    key         String                  COMMENT 'Click id, or keyed hash of IP and user agent',
    touched_at  DateTime64(3, 'UTC')    COMMENT 'Time of the click',
    touch_id    UUID                    COMMENT 'Event of the click',
    source      LowCardinality(String)  COMMENT 'As in clicks',
    medium      LowCardinality(String)  COMMENT 'As in clicks',
    campaign    LowCardinality(String)  COMMENT 'As in clicks',
    channel     LowCardinality(String)  COMMENT 'As in clicks',
    version     UInt64                  COMMENT 'The first position wins'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, kind, key, touched_at, touch_id)
SETTINGS index_granularity = 1024
COMMENT 'Clicks sorted by what a conversion is found by: its candidates are a look-up';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_click_keys TO click_keys
AS SELECT
    project_id, edge.1 AS kind, edge.2 AS key, touched_at, touch_id, source, medium, campaign, channel, version
FROM
(
    SELECT
        project_id, occurred_at AS touched_at, event_id AS touch_id, touch_source AS source, touch_medium AS medium,
        touch_campaign AS campaign, touch_channel AS channel, version,
        arrayJoin(arrayFilter(e -> e.2 != '', [('click', click_id), ('fingerprint', fingerprint)])) AS edge
    FROM events
    WHERE touch = 'click'
);

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_person_keys_fingerprints TO person_keys
AS SELECT DISTINCT
    project_id, 'fingerprint' AS kind, fingerprint AS key, 'conversion' AS carrier_kind,
    toString(conversion_id) AS carrier
FROM conversion_arrivals
WHERE fingerprint != '';

CREATE TABLE IF NOT EXISTS links
(
    project_id   LowCardinality(String)  COMMENT 'Tenant',
    link_id      UInt64                  COMMENT 'Link',
    version      UInt64                  COMMENT 'Version in the control log',
    slug         String                  COMMENT 'Last part of its address',
    name         String                  COMMENT 'Display name',
    destination  String                  COMMENT 'Where it leads',
    deleted      Bool                    COMMENT 'Leads nowhere any more; its clicks stay'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, link_id)
COMMENT 'Copy of the control log''s links';

CREATE TABLE IF NOT EXISTS link_goals
(
    project_id   LowCardinality(String)  COMMENT 'Tenant',
    goal_id      String                  COMMENT 'Goal: conversion_arrivals name it',
    version      UInt64                  COMMENT 'Version in the control log',
    name         String                  COMMENT 'Display name',
    goal_type    LowCardinality(String)  COMMENT 'purchase, signup, download, custom: the kind of its conversions',
    window_days  UInt16                  COMMENT 'Attribution window',
    deleted      Bool                    COMMENT 'Deleted'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, goal_id)
COMMENT 'Copy of the control log''s link goals';

CREATE OR REPLACE VIEW conversions
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
    argMinIf(a.revenue, (a.defaulted, rank), a.revenue IS NOT NULL) AS revenue,
    argMinIf(a.currency, (a.defaulted, rank), a.revenue IS NOT NULL) AS currency,
    argMin(a.properties, rank) AS properties,
    count() AS arrivals,
    argMinIf(a.fingerprint, rank, a.fingerprint != '') AS fingerprint,
    argMinIf(a.goal_id, rank, a.goal_id != '') AS goal_id,
    argMinIf(a.window_days, rank, a.window_days != 0) AS window_days
FROM
(
    SELECT *, (trust, kafka_offset, kafka_index) AS rank FROM conversion_arrivals FINAL
) AS a
GROUP BY project_id, conversion_id
COMMENT 'One row an order: each field from the most trusted, then first, arrival that has it; a default amount counts as missing';

CREATE OR REPLACE VIEW v_source_stats
AS SELECT
    project_id, scope, model, cell, source, medium, campaign, channel, currency,
    sum(source_totals.conversions) AS conversions,
    sum(source_totals.revenue) AS revenue
FROM source_totals
WHERE scope = 'all' AND run_id IN (SELECT run_id FROM live_runs)
GROUP BY project_id, scope, model, cell, source, medium, campaign, channel, currency
HAVING conversions != 0 OR revenue != 0
COMMENT 'Conversions and revenue per source, quarter of an hour and currency, over touches of all kinds (scope all)';
