-- Question  : what does each touch of a conversion get, under each model?
-- Parameters: those of attribution.sql
-- Books     : nothing: what a run would book now, one row a scope, model and touch, net of refunds
SELECT
    a.scope, a.model, toString(a.touch_id), toUnixTimestamp64Milli(a.touched_at), a.matched_by, a.source, a.medium,
    a.campaign, a.channel, a.link_id, a.email_campaign_id, a.flow_id, toString(a.currency), sum(a.share), sum(a.amount)
FROM (/* attribution */) AS a
GROUP BY
    a.scope, a.model, a.touch_id, a.touched_at, a.matched_by, a.source, a.medium, a.campaign, a.channel, a.link_id,
    a.email_campaign_id, a.flow_id, a.currency
ORDER BY a.touched_at, a.touch_id, a.scope, a.model
