-- Question  : which stored events does the state of a partition of the events stage come from?
-- Parameters: partition UInt16; below UInt64 (Kafka offset); since Int64 (ms of receipt from which on events matter);
--             after_offset Int64, after_index Int64 (position of the last row of the page before; -1, -1 for the first);
--             page UInt32
-- Returns   : one row a position, in log order, from the first position received at `since` or later
SELECT
    kafka_offset,
    kafka_index,
    toString(project_id) AS project_id,
    event_id,
    toUnixTimestamp64Milli(received_at) AS received_at,
    toUnixTimestamp64Milli(occurred_at) AS occurred_at,
    checksum,
    visitor,
    session_id,
    session_named,
    session_opens,
    toString(touch) AS touch,
    toString(touch_source) AS touch_source,
    toString(touch_medium) AS touch_medium,
    toString(touch_campaign) AS touch_campaign,
    toString(touch_term) AS touch_term,
    toString(touch_content) AS touch_content,
    toString(touch_channel) AS touch_channel,
    arrayMap(kind -> toString(kind), key_kinds) AS key_kinds,
    key_values
FROM event_log FINAL
WHERE kafka_partition = {partition:UInt16}
  AND kafka_offset < {below:UInt64}
  AND (toInt64(kafka_offset), toInt64(kafka_index)) > ({after_offset:Int64}, {after_index:Int64})
  AND kafka_offset >=
  (
      SELECT min(kafka_offset)
      FROM event_log
      WHERE kafka_partition = {partition:UInt16}
        AND kafka_offset < {below:UInt64}
        AND toUnixTimestamp64Milli(event_log.received_at) >= {since:Int64}
  )
ORDER BY kafka_offset, kafka_index
LIMIT {page:UInt32}
