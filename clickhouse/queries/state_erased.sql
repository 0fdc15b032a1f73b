-- Question  : was anything below an offset of a partition erased at a person's request?
-- Parameters: stage String, partition UInt16, below UInt64 (Kafka offset)
-- Returns   : positions; one row
SELECT toInt64(count())
FROM erased_positions
WHERE stage = {stage:String} AND kafka_partition = {partition:UInt16} AND kafka_offset < {below:UInt64}
