-- Question  : what were destinations told, and what came of it?
-- Parameters: project_id String; destination_id, conversion_id, outcome String (empty: any); limit UInt32
-- Returns   : one row an attempt, newest first; times as Unix milliseconds, next_attempt_ms 0 where there is none
SELECT
    toString(d.delivery_id) AS id,
    d.destination_id AS destination_id,
    toString(d.kind) AS kind,
    toString(d.conversion_id) AS conversion_id,
    toString(d.event) AS event,
    toInt64(d.number) AS attempt,
    toString(d.outcome) AS outcome,
    toInt64(d.status) AS status,
    d.detail AS detail,
    toUnixTimestamp64Milli(d.attempted_at) AS attempted_ms,
    toInt64(d.duration_ms) AS duration_ms,
    ifNull(toUnixTimestamp64Milli(d.next_attempt_at), 0) AS next_attempt_ms
FROM deliveries AS d FINAL
WHERE d.project_id = {project_id:String}
  AND ({destination_id:String} = '' OR d.destination_id = {destination_id:String})
  AND ({conversion_id:String} = '' OR d.conversion_id = toUUIDOrZero({conversion_id:String}))
  AND ({outcome:String} = '' OR d.outcome = {outcome:String})
ORDER BY d.attempted_at DESC, d.attempt_id DESC
LIMIT {limit:UInt32}
