-- Question  : whose credit is new, changed or wrong, of conversions that have been booked before?
-- Parameters: run_id UUID (of run_credits, too), run_number UInt64; everything Bool (compare with all that is booked)
-- Books     : credits: the target less what live runs have booked. Where nothing differs, nothing
INSERT INTO credits
    (run_id, run_number, cause, project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id, touched_at,
     matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency,
     share, amount)
SELECT
    {run_id:UUID}, {run_number:UInt64}, any(why), project_id, conversion_id, scope, model, entry, entry_id, entry_cell,
    touch_id, touched_at, matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id,
    flow_id, currency, toDecimal64(sum(part), 9), toDecimal64(sum(money), 4)
FROM
(
    SELECT
        toString(project_id) AS project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id, touched_at,
        matched_by, converted_at, cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id,
        toString(currency) AS currency, cause AS why, toDecimal128(share, 9) AS part,
        toDecimal128(amount, 4) AS money
    FROM run_credits
    WHERE run_id = {run_id:UUID}
    UNION ALL
    SELECT
        toString(b.project_id), b.conversion_id, toString(b.scope), toString(b.model), toString(b.entry), b.entry_id,
        b.entry_cell, b.touch_id, b.touched_at, toString(b.matched_by), b.converted_at, b.cell, toString(b.source),
        toString(b.medium), toString(b.campaign), toString(b.channel), b.link_id, b.email_campaign_id, b.flow_id,
        toString(b.currency), l.cause AS why, -toDecimal128(b.share, 9), -toDecimal128(b.amount, 4)
    FROM credits AS b
    INNER JOIN (SELECT * FROM run_booked WHERE run_id = {run_id:UUID}) AS l
        ON l.project_id = b.project_id AND l.cell = b.cell AND l.conversion_id = b.conversion_id
    WHERE b.run_id IN (/* live */)
      AND ({everything:Bool} OR (b.project_id, b.cell, b.conversion_id) IN
          (SELECT project_id, cell, conversion_id FROM run_booked WHERE run_id = {run_id:UUID}))
)
GROUP BY
    project_id, conversion_id, scope, model, entry, entry_id, entry_cell, touch_id, touched_at, matched_by, converted_at,
    cell, source, medium, campaign, channel, link_id, email_campaign_id, flow_id, currency
HAVING sum(part) != 0 OR sum(money) != 0
