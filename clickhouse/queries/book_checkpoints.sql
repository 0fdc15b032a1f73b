-- Question  : how far is each stage?
-- Parameters: none
-- Returns   : stage, topic_id, kafka_partition, end_offset of the newest checkpoints
SELECT stage, topic_id, kafka_partition, end_offset
FROM newest_checkpoints
