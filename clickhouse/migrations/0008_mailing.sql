-- 0008_mailing
-- Needs   : of 0007 only columns, which are named here again: the view below takes the place of both earlier ones
-- Purpose : what seed S3's conversions add to an arrival: contact, campaign, flow, and how they are to be attributed.
--           Money whose currency is only a default counts as missing beside equally trusted money with a stated one,
--           and so do empty properties
-- Grain   : as in 0003
-- Undo    : the view of 0003; ALTER TABLE conversion_arrivals DROP COLUMN .. for each column below
ALTER TABLE conversion_arrivals
    ADD COLUMN IF NOT EXISTS defaulted Bool DEFAULT false
        COMMENT 'Revenue is the default of the goal: counts as missing while another arrival states an amount',
    ADD COLUMN IF NOT EXISTS goal_id String DEFAULT ''
        COMMENT 'Link goal whose token reported this, else empty',
    ADD COLUMN IF NOT EXISTS window_days UInt16 DEFAULT 0
        COMMENT 'Attribution window of that goal; 0: the lookback of the project',
    ADD COLUMN IF NOT EXISTS currency_defaulted Bool COMMENT 'The client stated no currency: it is the default' AFTER currency,
    ADD COLUMN IF NOT EXISTS contact_id String COMMENT 'Contact (seed S3): UUID, empty if none' AFTER currency_defaulted,
    ADD COLUMN IF NOT EXISTS sealed_email String CODEC(ZSTD(1)) COMMENT 'Address of the contact, encrypted with the project''s key' AFTER contact_id,
    ADD COLUMN IF NOT EXISTS campaign_id String COMMENT 'E-mail campaign it is claimed for: UUID, empty if none' AFTER sealed_email,
    ADD COLUMN IF NOT EXISTS flow_id String COMMENT 'E-mail flow it is claimed for: UUID, empty if none' AFTER campaign_id,
    ADD COLUMN IF NOT EXISTS attribution_model LowCardinality(String) COMMENT 'Stated model, empty if none' AFTER flow_id,
    ADD COLUMN IF NOT EXISTS attribution_window_days UInt8 COMMENT 'Stated window, 0 if none' AFTER attribution_model;

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
    argMinIf(a.revenue, money_rank, a.revenue IS NOT NULL) AS revenue,
    argMinIf(a.currency, money_rank, a.revenue IS NOT NULL) AS currency,
    if(countIf(a.properties != '{}') > 0, argMinIf(a.properties, rank, a.properties != '{}'), '{}') AS properties,
    count() AS arrivals,
    argMinIf(a.fingerprint, rank, a.fingerprint != '') AS fingerprint,
    argMinIf(a.goal_id, rank, a.goal_id != '') AS goal_id,
    argMinIf(a.window_days, rank, a.window_days != 0) AS window_days,
    argMinIf(a.contact_id, rank, a.contact_id != '') AS contact_id,
    argMinIf(a.campaign_id, rank, a.campaign_id != '') AS campaign_id,
    argMinIf(a.flow_id, rank, a.flow_id != '') AS flow_id,
    argMinIf(a.attribution_model, rank, a.attribution_model != '') AS attribution_model,
    argMinIf(a.attribution_window_days, rank, a.attribution_window_days != 0) AS attribution_window_days,
    argMinIf(a.currency, money_rank, a.currency != '') AS named_currency
FROM
(
    SELECT *,
           (trust, kafka_offset, kafka_index) AS rank,
           (defaulted, trust, currency_defaulted, kafka_offset, kafka_index) AS money_rank
    FROM conversion_arrivals FINAL
) AS a
GROUP BY project_id, conversion_id
COMMENT 'One row an order: each field from the most trusted, then first, arrival that has it';
