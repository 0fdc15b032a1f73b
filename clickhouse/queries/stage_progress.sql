-- Question  : how far is a stage?
-- Parameters: stage String
-- Returns   : received (events below its checkpoints), clock_ms (the latest receipt among them; 0: none); one row
SELECT
    toInt64(sum(received)) AS received,
    if(count() = 0, 0, toUnixTimestamp64Milli(max(clock))) AS clock_ms
FROM newest_checkpoints
WHERE stage = {stage:String}
