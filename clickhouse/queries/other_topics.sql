-- Question  : does the store hold facts of another topic of the same name?
-- Parameters: stage String; topic_id String (ours); partition UInt16
-- Returns   : their topic ids, the newest first
SELECT topic_id
FROM checkpoints
WHERE stage = {stage:String} AND kafka_partition = {partition:UInt16} AND topic_id != {topic_id:String}
GROUP BY topic_id
ORDER BY max(written_at) DESC
