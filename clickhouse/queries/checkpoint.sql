-- Question  : what had a partition counted at its newest checkpoint, or at the one of a certain offset?
-- Parameters: stage String; topic_id String; partition UInt16; end_offset Nullable(UInt64) (NULL: the newest)
-- Returns   : at most one row
SELECT
    end_offset, received, stored, duplicate, rejected, quarantined, erased, conflict,
    toUnixTimestamp64Milli(clock) AS clock, control_offset
FROM checkpoints FINAL
WHERE stage = {stage:String}
  AND topic_id = {topic_id:String}
  AND kafka_partition = {partition:UInt16}
  AND end_offset = ifNull({end_offset:Nullable(UInt64)}, end_offset)
ORDER BY end_offset DESC
LIMIT 1
