-- Question  : up to where is the count of each partition proven, on days that are over?
-- Parameters: open_hours UInt32 (younger checkpoints stay open)
-- Books     : seals, if the whole ledger balances. Later proofs begin at the seal, so their cost does not grow with history
INSERT INTO seals (stage, topic_id, kafka_partition, end_offset, received, stored, erased, sealed_at)
SELECT
    stage, topic_id, kafka_partition, max(c.end_offset), argMax(c.received, c.end_offset), argMax(c.stored, c.end_offset),
    argMax(c.erased, c.end_offset), now64(3)
FROM checkpoints AS c
WHERE clock < (SELECT max(clock) FROM checkpoints) - toIntervalHour({open_hours:UInt32})
  AND (SELECT sum(imbalance) FROM v_ledger) = 0
GROUP BY stage, topic_id, kafka_partition
