-- Question  : what do the credits of old runs add up to?
-- Parameters: run_id UUID, run_number UInt64, level UInt8, covers_from UInt64, covers_to UInt64
-- Books     : credits: the sums, under the folding run; entries that cancel out are gone from it
INSERT INTO credits
    (run_id, run_number, project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id, touched_at,
     matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency,
     share, amount)
SELECT
    {run_id:UUID}, {run_number:UInt64}, project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id,
    touched_at, matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id,
    currency, toDecimal64(sum(b.share), 9) AS booked_share, toDecimal64(sum(b.amount), 4) AS booked_amount
FROM credits AS b
WHERE run_number BETWEEN {covers_from:UInt64} AND {covers_to:UInt64}
  AND run_id IN (SELECT run_id FROM live_runs WHERE level = {level:UInt8} AND number <= {covers_to:UInt64})
GROUP BY
    project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id, touched_at, matched_by, converted_at,
    cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency
HAVING booked_share != 0 OR booked_amount != 0
