-- Question  : which interactions with e-mails do these contacts have?
-- Parameters: places Array(Tuple(String, String, String)) (project_id, kind, key)
-- Returns   : place and touch; times in milliseconds. The link of an interaction is always 0
SELECT
    project_id, kind, key, toUnixTimestamp64Milli(touched_at), toString(touch_id), 'email', source, medium, campaign, channel,
    0, email_campaign_id, flow_id
FROM mail_keys FINAL
WHERE (project_id, kind, key) IN {places:Array(Tuple(String, String, String))}
