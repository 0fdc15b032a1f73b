-- Question  : which dead letters are open?
-- Parameters: stage String, reason String (each empty: any), limit UInt32
-- Returns   : their names, oldest first
SELECT d.letter_id AS letter_id
FROM v_dead_letters AS d
WHERE d.state = 'open'
  AND ({stage:String} = '' OR d.stage = {stage:String})
  AND ({reason:String} = '' OR d.reason = {reason:String})
ORDER BY d.quarantined_at, d.stage, d.kafka_partition, d.kafka_offset, d.kafka_index
LIMIT {limit:UInt32}
