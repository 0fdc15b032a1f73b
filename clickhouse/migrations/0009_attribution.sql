-- 0009_attribution
-- Purpose : five models over three scopes (all touches, link clicks, e-mail interactions), persons across devices, refunds
-- Grain   : mail_keys: one interaction of a contact. credits: conversion, scope, model, entry, touch, +/-
-- Engine  : as before; credits are sorted by conversion, so that what is booked for one is a look-up
-- Undo    : DROP what is made here; the booker books credits and source_totals again from facts
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS contact_id String DEFAULT '' COMMENT 'Contact (seed S3): UUID, empty if none',
    ADD COLUMN IF NOT EXISTS email_campaign_id String DEFAULT '' COMMENT 'E-mail campaign of an email_open or email_click',
    ADD COLUMN IF NOT EXISTS flow_id String DEFAULT '' COMMENT 'E-mail flow of an email_open or email_click';

CREATE TABLE IF NOT EXISTS mail_keys
(
    project_id        LowCardinality(String)  COMMENT 'Tenant',
    kind              LowCardinality(String)  COMMENT 'contact',
    key               String                  COMMENT 'Contact id',
    touched_at        DateTime64(3, 'UTC')    COMMENT 'Time of the interaction',
    touch_id          UUID                    COMMENT 'Its event',
    interaction       LowCardinality(String)  COMMENT 'open, click',
    source            LowCardinality(String)  COMMENT 'email',
    medium            LowCardinality(String)  COMMENT 'email',
    campaign          LowCardinality(String)  COMMENT 'Id of the campaign, else of the flow',
    channel           LowCardinality(String)  COMMENT 'Channel group',
    email_campaign_id String                  COMMENT 'UUID, empty if none',
    flow_id           String                  COMMENT 'UUID, empty if none',
    version           UInt64                  COMMENT 'The first position wins'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project_id, kind, key, touched_at, touch_id)
SETTINGS index_granularity = 1024
COMMENT 'E-mail interactions sorted by contact: the candidates of a conversion are a look-up';

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_mail_keys TO mail_keys
AS SELECT
    project_id, 'contact' AS kind, contact_id AS key, occurred_at AS touched_at, event_id AS touch_id,
    if(event_type = 'email_click', 'click', 'open') AS interaction, touch_source AS source, touch_medium AS medium,
    touch_campaign AS campaign, touch_channel AS channel, email_campaign_id, flow_id, version
FROM events
WHERE touch = 'email' AND contact_id != '';

ALTER TABLE click_keys
    ADD COLUMN IF NOT EXISTS link_id UInt64 DEFAULT 0 COMMENT 'Link' AFTER touch_id;

DROP TABLE IF EXISTS mv_click_keys;

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_click_keys TO click_keys
AS SELECT
    project_id, edge.1 AS kind, edge.2 AS key, touched_at, touch_id, link_id, source, medium, campaign, channel, version
FROM
(
    SELECT
        project_id, occurred_at AS touched_at, event_id AS touch_id, link_id, touch_source AS source,
        touch_medium AS medium, touch_campaign AS campaign, touch_channel AS channel, version,
        arrayJoin(arrayFilter(e -> e.2 != '', [('click', click_id), ('fingerprint', fingerprint)])) AS edge
    FROM events
    WHERE touch = 'click'
);

INSERT INTO click_keys (project_id, kind, key, touched_at, touch_id, link_id, source, medium, campaign, channel, version)
SELECT
    project_id, edge.1, edge.2, touched_at, touch_id, link_id, source, medium, campaign, channel, version
FROM
(
    SELECT
        project_id, occurred_at AS touched_at, event_id AS touch_id, link_id, touch_source AS source,
        touch_medium AS medium, touch_campaign AS campaign, touch_channel AS channel, version,
        arrayJoin(arrayFilter(e -> e.2 != '', [('click', click_id), ('fingerprint', fingerprint)])) AS edge
    FROM events FINAL
    WHERE touch = 'click'
);

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_person_keys_arrivals TO person_keys
AS SELECT DISTINCT project_id, edge.1 AS kind, edge.2 AS key, edge.3 AS carrier_kind, edge.4 AS carrier
FROM
(
    SELECT project_id, arrayJoin(arrayConcat(
        if(contact_id = '', [], [('contact', contact_id, 'conversion', toString(conversion_id))]),
        arrayFilter(e -> e.4 != '', [
            ('conversion', toString(conversion_id), 'user', user_id),
            ('conversion', toString(conversion_id), 'contact', contact_id),
            ('conversion', toString(conversion_id), 'anonymous', anonymous_id)]))) AS edge
    FROM conversion_arrivals
);

INSERT INTO person_keys (project_id, kind, key, carrier_kind, carrier)
SELECT DISTINCT project_id, edge.1, edge.2, edge.3, edge.4
FROM
(
    SELECT project_id, arrayJoin(arrayConcat(
        if(contact_id = '', [], [('contact', contact_id, 'conversion', toString(conversion_id))]),
        arrayFilter(e -> e.4 != '', [
            ('conversion', toString(conversion_id), 'user', user_id),
            ('conversion', toString(conversion_id), 'contact', contact_id),
            ('conversion', toString(conversion_id), 'anonymous', anonymous_id)]))) AS edge
    FROM conversion_arrivals
);

ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS rules UInt64 DEFAULT 0
        COMMENT 'Hash of the statements that booked it: where they change, a sweep applies the new ones to all history';

ALTER TABLE run_conversions
    ADD COLUMN IF NOT EXISTS cause LowCardinality(String) DEFAULT ''
        COMMENT 'arrival: a new report of it; refund; touch: a new touch or identity of its person; sweep';

CREATE TABLE IF NOT EXISTS run_subjects
(
    run_id        UUID                    COMMENT 'Run that looks at it',
    project_id    LowCardinality(String)  COMMENT 'Tenant',
    conversion_id UUID                    COMMENT 'Conversion',
    cause         LowCardinality(String)  COMMENT 'As in run_conversions',
    converted_at  DateTime64(3, 'UTC')    COMMENT 'Later touches never count',
    window_days   UInt16                  COMMENT 'Lookback for all touches and for clicks',
    email_days    UInt16                  COMMENT 'Lookback for e-mail interactions',
    campaign_id   String                  COMMENT 'E-mail campaign it is claimed for: overrides interactions',
    flow_id       String                  COMMENT 'E-mail flow it is claimed for: overrides interactions',
    keys          Array(Tuple(kind String, key String))
                                          COMMENT 'Identities that its reports name',
    currency      LowCardinality(String)  COMMENT 'ISO 4217; empty without revenue',
    steps         Array(Tuple(entry String, entry_id UUID, at DateTime64(3, 'UTC'), before Int128, after Int128))
                                          COMMENT 'How its money came to be: the sale, then each refund; amounts in 1/10000, before and after',
    made_at       DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (run_id, project_id, conversion_id)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: the conversions a run attributes anew, merged';

CREATE TABLE IF NOT EXISTS run_keys
(
    run_id        UUID                    COMMENT 'Run that looks at it',
    project_id    LowCardinality(String)  COMMENT 'Tenant',
    conversion_id UUID                    COMMENT 'Conversion',
    kind          LowCardinality(String)  COMMENT 'click, session, user, contact, anonymous, fingerprint',
    key           String                  COMMENT 'Identity',
    own           Bool                    COMMENT 'A report of the conversion names it; else it is known for the person',
    made_at       DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (run_id, project_id, conversion_id, kind)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: the identities of the person of each conversion';

CREATE TABLE IF NOT EXISTS run_reach
(
    run_id        UUID                    COMMENT 'Run that looks at it',
    project_id    LowCardinality(String)  COMMENT 'Tenant',
    conversion_id UUID                    COMMENT 'Conversion',
    kind          LowCardinality(String)  COMMENT 'session, click, contact, fingerprint: where its touches are found',
    key           String                  COMMENT 'Value',
    matched_by    LowCardinality(String)  COMMENT 'Identity that led there; the best one',
    rank          UInt8                   COMMENT 'Of the identity; the lowest is the best',
    landed        Bool                    COMMENT 'A click whose landing session shows its source: that touch stands for both',
    made_at       DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (run_id, project_id, kind, key)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: where the touches that may be credited are looked up';

CREATE TABLE IF NOT EXISTS run_live
(
    scope_id UUID                    COMMENT 'Run that compares with them',
    run_id   UUID                    COMMENT 'Run that was live when it began',
    made_at  DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (scope_id, run_id)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: live_runs as a run found them';

CREATE TABLE IF NOT EXISTS run_closure
(
    run_id     UUID                    COMMENT 'Run that looks at it',
    kind       LowCardinality(String)  COMMENT 'session, conversion, user, contact, anonymous, click, fingerprint',
    project_id LowCardinality(String)  COMMENT 'Tenant',
    key        String                  COMMENT 'Identity, session or conversion that new facts may concern',
    made_at    DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (run_id, kind, project_id, key)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: whom the new facts of a run concern';

CREATE TABLE IF NOT EXISTS run_booked
(
    run_id        UUID                    COMMENT 'Run that looks at it',
    project_id    LowCardinality(String)  COMMENT 'Tenant',
    cell          DateTime64(3, 'UTC')    COMMENT 'Where its entries are',
    conversion_id UUID                    COMMENT 'Conversion that has credits already',
    cause         LowCardinality(String)  COMMENT 'As in run_conversions',
    made_at       DateTime DEFAULT now()  COMMENT 'For cleaning up only'
)
ENGINE = MergeTree
ORDER BY (run_id, project_id, conversion_id)
TTL made_at + toIntervalDay(1)
COMMENT 'Scratch of the booker: conversions whose credits must be compared, not only added';

CREATE TABLE IF NOT EXISTS capped_keys
(
    run_id     UUID                    COMMENT 'Run that found it: counts if committed',
    run_number UInt64                  COMMENT 'Its number',
    project_id LowCardinality(String)  COMMENT 'Tenant',
    kind       LowCardinality(String)  COMMENT 'Kind of the key',
    key        String                  COMMENT 'Key with absurdly many edges: a shared test account, a proxy, ..',
    edges      UInt64                  COMMENT 'How many it had then'
)
ENGINE = MergeTree
ORDER BY (project_id, kind, key)
SETTINGS index_granularity = 1024
COMMENT 'Keys that tie nothing together any more. Read v_capped_keys';

CREATE VIEW IF NOT EXISTS v_capped_keys
AS SELECT project_id, kind, key, max(edges) AS edges_when_capped, min(run_number) AS since_run
FROM capped_keys
WHERE run_id IN (SELECT run_id FROM runs WHERE number IN (SELECT run_number FROM capped_keys))
GROUP BY project_id, kind, key
COMMENT 'Identities with more edges than the setting allows: they join no touches to conversions';

DROP TABLE IF EXISTS mv_source_totals;

ALTER TABLE credits
    ADD COLUMN IF NOT EXISTS entry LowCardinality(String) DEFAULT 'sale',
    ADD COLUMN IF NOT EXISTS entry_id UUID DEFAULT toUUID('00000000-0000-0000-0000-000000000000'),
    ADD COLUMN IF NOT EXISTS entry_cell DateTime64(3, 'UTC') DEFAULT cell,
    ADD COLUMN IF NOT EXISTS link_id UInt64 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS email_campaign_id String DEFAULT '',
    ADD COLUMN IF NOT EXISTS flow_id String DEFAULT '',
    ADD COLUMN IF NOT EXISTS cause LowCardinality(String) DEFAULT '';

DROP TABLE IF EXISTS credits_sorted;

CREATE TABLE credits_sorted
(
    run_id        UUID                    COMMENT 'Counts if the run is committed',
    run_number    UInt64                  COMMENT 'Its number',
    cause         LowCardinality(String)  COMMENT 'Why the run looked at the conversion: arrival, refund, touch, sweep; empty in folds',
    project_id    LowCardinality(String)  COMMENT 'Tenant',
    conversion_id UUID                    COMMENT 'Conversion',
    scope         LowCardinality(String)  COMMENT 'Touches considered: all; clicks on links; email interactions',
    model         LowCardinality(String)  COMMENT 'last_touch, first_touch, linear, position, time_decay',
    entry         LowCardinality(String)  COMMENT 'sale; refund: money taken back from the same touches',
    entry_id      UUID                    COMMENT 'The refund; zeroes for the sale',
    entry_cell    DateTime64(3, 'UTC')    COMMENT 'Quarter of an hour of the sale or of the refund',
    touch_id      UUID                    COMMENT 'Touch credited; zeroes where there is none',
    touched_at    DateTime64(3, 'UTC')    COMMENT 'Time of the touch; of the conversion where there is none',
    matched_by    LowCardinality(String)  COMMENT 'Identity that tied the touch to the conversion: click, session, user, contact, anonymous, fingerprint; empty where there is no touch',
    converted_at  DateTime64(3, 'UTC')    COMMENT 'Time of the conversion',
    cell          DateTime64(3, 'UTC')    COMMENT 'Quarter of an hour of converted_at, for refunds too',
    source        LowCardinality(String)  COMMENT 'Source credited',
    medium        LowCardinality(String)  COMMENT 'Medium credited',
    campaign      LowCardinality(String)  COMMENT 'Campaign credited',
    channel       LowCardinality(String)  COMMENT 'Channel credited',
    link_id       UInt64                  COMMENT 'Link credited, else 0',
    email_campaign_id String              COMMENT 'E-mail campaign credited: UUID, empty if none',
    flow_id       String                  COMMENT 'E-mail flow credited: UUID, empty if none',
    currency      LowCardinality(String)  COMMENT 'ISO 4217; empty without revenue',
    share         Decimal(18, 9)          COMMENT 'Part of the conversion, signed; 0 in refunds',
    amount        Decimal(18, 4)          COMMENT 'Part of the revenue, exact, signed',
    INDEX by_run run_number TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYear(cell)
ORDER BY (project_id, cell, conversion_id, scope, model)
SETTINGS index_granularity = 2048
COMMENT 'Book: who gets credit for a conversion. sum() over live runs is the truth';

INSERT INTO credits_sorted
    (run_id, run_number, cause, project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id, touched_at,
     matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency,
     share, amount)
SELECT
    run_id, run_number, cause, project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id, touched_at,
    matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency,
    share, amount
FROM credits;

EXCHANGE TABLES credits AND credits_sorted;

DROP TABLE credits_sorted;

CREATE TABLE IF NOT EXISTS run_credits AS credits
ENGINE = MergeTree
ORDER BY (run_id, project_id, conversion_id)
COMMENT 'Scratch of the booker: what should be booked for conversions that have credits already';

ALTER TABLE run_credits ADD COLUMN IF NOT EXISTS made_at DateTime DEFAULT now() COMMENT 'For cleaning up only';

ALTER TABLE run_credits MODIFY TTL made_at + toIntervalDay(1);

DROP TABLE IF EXISTS source_totals;

CREATE TABLE source_totals
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
    revenue     Decimal(38, 4)          COMMENT 'Sum of amounts: what remains after refunds',
    refunded    Decimal(38, 4)          COMMENT 'Of it, what refunds took: 0 or more'
)
ENGINE = SummingMergeTree((conversions, revenue, refunded))
ORDER BY (project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id)
COMMENT 'Conversions and revenue per source and quarter of an hour. Read v_source_stats';

INSERT INTO source_totals
SELECT
    project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id,
    sum(toDecimal128(credits.share, 9)), sum(toDecimal128(credits.amount, 4)),
    -sumIf(toDecimal128(credits.amount, 4), entry = 'refund')
FROM credits
GROUP BY project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_source_totals TO source_totals
AS SELECT
    project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id,
    sum(toDecimal128(credits.share, 9)) AS conversions,
    sum(toDecimal128(credits.amount, 4)) AS revenue,
    -sumIf(toDecimal128(credits.amount, 4), entry = 'refund') AS refunded
FROM credits
GROUP BY project_id, scope, model, cell, source, medium, campaign, channel, currency, run_number, run_id;

CREATE OR REPLACE VIEW v_source_stats
AS SELECT
    project_id, scope, model, cell, source, medium, campaign, channel, currency,
    sum(source_totals.conversions) AS conversions,
    sum(source_totals.revenue) AS revenue,
    sum(source_totals.refunded) AS refunded
FROM source_totals
WHERE scope = 'all' AND run_id IN (SELECT run_id FROM live_runs)
GROUP BY project_id, scope, model, cell, source, medium, campaign, channel, currency
HAVING conversions != 0 OR revenue != 0 OR refunded != 0
COMMENT 'Conversions and revenue per model, source, quarter of an hour and currency, over touches of all kinds (scope all)';

CREATE OR REPLACE VIEW v_credits
AS SELECT
    project_id, conversion_id, scope, model, touch_id, touched_at, matched_by, converted_at,
    source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency,
    sum(credits.share) AS share,
    sum(credits.amount) AS amount,
    -sumIf(credits.amount, entry = 'refund') AS refunded
FROM credits
WHERE run_id IN (SELECT run_id FROM live_runs)
GROUP BY project_id, conversion_id, scope, model, touch_id, touched_at, matched_by, converted_at,
         source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency
HAVING share != 0 OR amount != 0 OR refunded != 0
COMMENT 'Who is credited for each conversion, net of refunds and of all corrections';
