-- Question  : which stored arrivals does the state of a partition of the conversions stage come from?
-- Parameters: partition UInt16; below UInt64 (Kafka offset); since Int64 (0: nothing is forgotten);
--             after_offset Int64, after_index Int64 (position of the last row of the page before; -1, -1 for the first);
--             page UInt32
-- Returns   : one row a position, in log order
SELECT
    kafka_offset,
    kafka_index,
    conversion_id,
    event_id,
    toUnixTimestamp64Milli(received_at) AS received_at,
    is_conversion,
    checksum,
    trust,
    revenue,
    currency,
    currency_defaulted,
    defaulted,
    goal_id
FROM conversion_arrivals FINAL
WHERE kafka_partition = {partition:UInt16}
  AND kafka_offset < {below:UInt64}
  AND (toInt64(kafka_offset), toInt64(kafka_index)) > ({after_offset:Int64}, {after_index:Int64})
  AND {since:Int64} <= toUnixTimestamp64Milli(conversion_arrivals.received_at)
ORDER BY kafka_offset, kafka_index
LIMIT {page:UInt32}
