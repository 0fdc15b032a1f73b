-- Question  : was an event quarantined instead of stored?
-- Parameters: project_id String, event_ids Array(String)
-- Returns   : stage, reason, and the position on the stage's topic; no row if it was not
SELECT
    JSONExtractString(payload, 'event_id') AS event_id,
    JSONExtractInt(payload, 'received_at') AS received_ms,
    toString(stage) AS stage,
    toString(reason) AS reason,
    toInt64(kafka_partition) AS kafka_partition,
    toInt64(kafka_offset) AS kafka_offset,
    toInt64(kafka_index) AS kafka_index
FROM dead_letters FINAL
WHERE stage = 'events'
  AND JSONExtractString(payload, 'project_id') = {project_id:String}
  AND JSONExtractString(payload, 'event_id') IN {event_ids:Array(String)}
ORDER BY kafka_offset
LIMIT 1
