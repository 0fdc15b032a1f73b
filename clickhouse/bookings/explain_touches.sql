-- Question  : which touches could be credited for a conversion, and which of them are, by scope?
-- Parameters: those of candidates.sql
-- Books     : nothing: the candidates themselves, one row a touch and scope, in time order
SELECT
    scope, toUnixTimestamp64Milli(looks_back_to), toString(one.1.id), toUnixTimestamp64Milli(one.1.at), one.1.kind,
    one.1.matched_by, one.1.source, one.1.medium, one.1.campaign, one.1.channel, one.1.link_id, one.1.email_campaign_id,
    one.1.flow_id, one.2
FROM (/* candidates */)
ARRAY JOIN arrayZip(touches, verdicts) AS one
ORDER BY one.1.at, one.1.id, scope
