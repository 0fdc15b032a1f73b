-- Question  : which clicks on links have these ids or fingerprints?
-- Parameters: places Array(Tuple(String, String, String)) (project_id, kind, key)
-- Returns   : place and touch; times in milliseconds
SELECT
    project_id, kind, key, toUnixTimestamp64Milli(touched_at), toString(touch_id), 'click', source, medium, campaign, channel,
    link_id
FROM click_keys FINAL
WHERE (project_id, kind, key) IN {places:Array(Tuple(String, String, String))}
