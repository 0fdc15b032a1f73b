-- Question  : whose credit should it be?
-- Parameters: run_id UUID, run_number UInt64, into Identifier; those of attribution.sql
-- Books     : into credits itself, of conversions for which nothing is booked yet: without looking for differences. Into
--             run_credits (scratch), of those that have been booked before: for changed_credits.sql to compare
INSERT INTO {into:Identifier}
    (run_id, run_number, cause, project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id, touched_at,
     matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency,
     share, amount)
SELECT
    {run_id:UUID}, {run_number:UInt64}, cause, project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id,
    touched_at, matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id,
    currency, toDecimal64(share, 9), toDecimal64(amount, 4)
FROM (/* attribution */)
