-- 0016_fewer_views
-- Purpose : an insert costs ClickHouse a few milliseconds for each view that looks at it, whether or not the view finds a
--           row. Clicks, e-mail interactions and refunds are rare: their views look at rare_events, which gets a row only
--           where there is one. The views from conversion_arrivals to person_keys become one.
-- Grain   : as before
-- Engine  : rare_events is Null: it passes rows on and keeps none
-- Undo    : the views of 0007, 0009 and 0010 again, then DROP what is made here
-- While this is applied, old and new views stand side by side: a row written twice is one.
CREATE TABLE IF NOT EXISTS rare_events
(
    project_id        LowCardinality(String)             COMMENT 'Tenant',
    event_id          UUID                               COMMENT 'As in events',
    event_type        LowCardinality(String)             COMMENT 'As in events',
    occurred_at       DateTime64(3, 'UTC')               COMMENT 'As in events',
    received_at       DateTime64(3, 'UTC')               COMMENT 'As in events',
    trust             UInt8                              COMMENT 'As in events',
    marks             Array(LowCardinality(String))      COMMENT 'As in events',
    click_id          String                             COMMENT 'As in events',
    fingerprint       String                             COMMENT 'As in events',
    referrer          String                             COMMENT 'As in events',
    revenue           Nullable(Decimal(18, 4))           COMMENT 'As in events',
    currency          LowCardinality(String)             COMMENT 'As in events',
    order_id          String                             COMMENT 'As in events',
    touch             LowCardinality(String)             COMMENT 'As in events',
    touch_source      LowCardinality(String)             COMMENT 'As in events',
    touch_medium      LowCardinality(String)             COMMENT 'As in events',
    touch_campaign    LowCardinality(String)             COMMENT 'As in events',
    touch_channel     LowCardinality(String)             COMMENT 'As in events',
    refund_id         String                             COMMENT 'As in events',
    refund_of         UUID                               COMMENT 'As in events',
    link_id           UInt64                             COMMENT 'As in events',
    contact_id        String                             COMMENT 'As in events',
    email_campaign_id String                             COMMENT 'As in events',
    flow_id           String                             COMMENT 'As in events',
    version           UInt64                             COMMENT 'As in events'
)
ENGINE = Null
COMMENT 'Clicks on links, e-mail interactions and refunds on their way from events to their own tables. Keeps nothing';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_rare_clicks TO clicks
AS SELECT
    project_id, link_id, occurred_at AS clicked_at, event_id AS touch_id, click_id, marks, referrer,
    touch_source AS source, touch_medium AS medium, touch_campaign AS campaign, touch_channel AS channel, version
FROM rare_events
WHERE touch = 'click';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_rare_click_keys TO click_keys
AS SELECT
    project_id, edge.1 AS kind, edge.2 AS key, touched_at, touch_id, link_id, source, medium, campaign, channel, version
FROM
(
    SELECT
        project_id, occurred_at AS touched_at, event_id AS touch_id, link_id, touch_source AS source,
        touch_medium AS medium, touch_campaign AS campaign, touch_channel AS channel, version,
        arrayJoin(arrayFilter(e -> e.2 != '', [('click', click_id), ('fingerprint', fingerprint)])) AS edge
    FROM rare_events
    WHERE touch = 'click'
);

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_rare_mail_keys TO mail_keys
AS SELECT
    project_id, 'contact' AS kind, contact_id AS key, occurred_at AS touched_at, event_id AS touch_id,
    if(event_type = 'email_click', 'click', 'open') AS interaction, touch_source AS source, touch_medium AS medium,
    touch_campaign AS campaign, touch_channel AS channel, email_campaign_id, flow_id, version
FROM rare_events
WHERE touch = 'email' AND contact_id != '';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_rare_refunds TO refunds
AS SELECT
    e.project_id AS project_id,
    if(e.refund_of = toUUID('00000000-0000-0000-0000-000000000000'), 'order', 'conversion') AS kind,
    if(e.refund_of = toUUID('00000000-0000-0000-0000-000000000000'), e.order_id, toString(e.refund_of)) AS key,
    e.refund_id AS refund_id, e.event_id AS event_id, e.occurred_at AS refunded_at, e.received_at AS received_at,
    -e.revenue AS asked, e.currency AS currency, e.version AS version
FROM rare_events AS e
WHERE e.event_type = 'refund' AND e.trust = 0 AND e.refund_id != '';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_rare_events TO rare_events
AS SELECT
    project_id, event_id, event_type, occurred_at, received_at, trust, marks, click_id, fingerprint, referrer, revenue,
    currency, order_id, touch, touch_source, touch_medium, touch_campaign, touch_channel, refund_id, refund_of, link_id,
    contact_id, email_campaign_id, flow_id, version
FROM events
WHERE touch IN ('click', 'email') OR event_type = 'refund';

DROP TABLE IF EXISTS mv_clicks;
DROP TABLE IF EXISTS mv_click_keys;
DROP TABLE IF EXISTS mv_mail_keys;
DROP TABLE IF EXISTS mv_refunds;

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_person_keys_reports TO person_keys
AS SELECT DISTINCT project_id, edge.1 AS kind, edge.2 AS key, edge.3 AS carrier_kind, edge.4 AS carrier
FROM
(
    SELECT project_id, toString(conversion_id) AS id, arrayJoin(arrayFilter(e -> e.2 != '' AND e.4 != '', [
        ('user', user_id, 'conversion', id),
        ('contact', contact_id, 'conversion', id),
        ('anonymous', anonymous_id, 'conversion', id),
        ('session', session_id, 'conversion', id),
        ('click', click_id, 'conversion', id),
        ('fingerprint', fingerprint, 'conversion', id),
        ('order', order_id, 'conversion', id),
        ('conversion', id, 'user', user_id),
        ('conversion', id, 'contact', contact_id),
        ('conversion', id, 'anonymous', anonymous_id)])) AS edge
    FROM conversion_arrivals
);

DROP TABLE IF EXISTS mv_person_keys_arrivals;
DROP TABLE IF EXISTS mv_person_keys_conversions;
DROP TABLE IF EXISTS mv_person_keys_fingerprints;
DROP TABLE IF EXISTS mv_person_keys_orders;
