-- Question  : what is in these dead letters, as they came, and what was decided about them?
-- Parameters: letter_ids Array(String): names
-- Returns   : of those that there are, oldest first: name, topic, state, headers and bytes, all bytes in base64
SELECT
    d.letter_id AS letter_id,
    toString(d.topic) AS topic,
    toString(d.state) AS state,
    d.header_names AS header_names,
    arrayMap(value -> base64Encode(value), d.header_values) AS header_values,
    base64Encode(d.payload) AS payload
FROM v_dead_letters AS d
WHERE d.letter_id IN {letter_ids:Array(String)}
  AND d.kafka_offset IN (SELECT toUInt64(splitByChar('-', arrayJoin({letter_ids:Array(String)}))[3]))
ORDER BY d.quarantined_at, d.stage, d.kafka_partition, d.kafka_offset, d.kafka_index
