-- Question  : what could a stage not read, and what was decided about it?
-- Parameters: stage String, reason String, state String, letter_id String (each empty: any), limit UInt32
-- Returns   : newest first: name, position, reason, error, size of the bytes and the first 1024 of them in base64, the
--             letter it is a replay of (or empty), state, when it was decided (0: not yet), offset of the replay (or -1)
SELECT
    d.letter_id AS letter_id,
    toString(d.stage) AS stage,
    toString(d.topic) AS topic,
    toInt64(d.kafka_partition) AS kafka_partition,
    toInt64(d.kafka_offset) AS kafka_offset,
    toInt64(d.kafka_index) AS kafka_index,
    toString(d.reason) AS reason,
    d.error AS error,
    toUnixTimestamp64Milli(d.quarantined_at) AS quarantined_ms,
    toInt64(length(d.payload)) AS payload_bytes,
    base64Encode(substring(d.payload, 1, 1024)) AS payload_head,
    d.replay_of AS replay_of,
    toString(d.state) AS state,
    ifNull(toUnixTimestamp64Milli(d.decided_at), 0) AS decided_ms,
    ifNull(d.replayed_offset, -1) AS replayed_offset
FROM v_dead_letters AS d
WHERE ({stage:String} = '' OR d.stage = {stage:String})
  AND ({reason:String} = '' OR d.reason = {reason:String})
  AND ({state:String} = '' OR d.state = {state:String})
  AND ({letter_id:String} = '' OR d.letter_id = {letter_id:String})
ORDER BY d.quarantined_at DESC, d.stage, d.kafka_partition, d.kafka_offset DESC, d.kafka_index DESC
LIMIT {limit:UInt32}
