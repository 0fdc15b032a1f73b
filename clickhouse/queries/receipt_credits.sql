-- Question  : who is credited for this conversion now, and since which run?
-- Parameters: project_id String, conversion_id UUID
-- Returns   : scope, model, touch and its source, share, amount, currency (net of all corrections), run (the last that
--             changed it)
SELECT
    toString(scope) AS scope,
    toString(model) AS model,
    toString(touch_id) AS touch_id,
    toUnixTimestamp64Milli(touched_at) AS touched_ms,
    toString(matched_by) AS matched_by,
    toString(source) AS source,
    toString(medium) AS medium,
    toString(campaign) AS campaign,
    toString(channel) AS channel,
    toString(currency) AS currency,
    sum(toDecimal128(credits.share, 9)) AS share,
    sum(toDecimal128(credits.amount, 4)) AS amount,
    toInt64(max(run_number)) AS run
FROM credits
WHERE project_id = {project_id:String}
  AND conversion_id = {conversion_id:UUID}
  AND run_id IN (SELECT run_id FROM live_runs)
GROUP BY scope, model, touch_id, touched_ms, matched_by, source, medium, campaign, channel, currency
HAVING share != 0 OR amount != 0
ORDER BY scope, model, touched_ms, touch_id
