-- Question  : what could a stage not read?
-- Parameters: stage String, reason String (empty: any), limit UInt32
-- Returns   : newest first: position, reason, error, size of the bytes and the first 1024 of them in base64
SELECT
    toString(stage) AS stage,
    toString(topic) AS topic,
    toInt64(kafka_partition) AS kafka_partition,
    toInt64(kafka_offset) AS kafka_offset,
    toInt64(kafka_index) AS kafka_index,
    toString(reason) AS reason,
    error,
    toUnixTimestamp64Milli(quarantined_at) AS quarantined_ms,
    toInt64(length(payload)) AS payload_bytes,
    base64Encode(substring(payload, 1, 1024)) AS payload_head
FROM dead_letters FINAL
WHERE ({stage:String} = '' OR stage = {stage:String})
  AND ({reason:String} = '' OR reason = {reason:String})
ORDER BY quarantined_at DESC, stage, kafka_partition, kafka_offset DESC, kafka_index DESC
LIMIT {limit:UInt32}
