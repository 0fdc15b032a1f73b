-- Question  : which touches are in these sessions?
-- Parameters: places Array(Tuple(String, String, String)) (project_id, kind, key)
-- Returns   : place and touch; times in milliseconds
SELECT
    project_id, 'session', session_id, toUnixTimestamp64Milli(touched_at), toString(touch_id), kind, source, medium, campaign,
    channel
FROM touches FINAL
WHERE kind IN ('entry', 'campaign')
  AND (project_id, 'session', session_id) IN {places:Array(Tuple(String, String, String))}
