-- Question  : how many live runs does a level have?
-- Parameters: level UInt8
-- Returns   : their count, first and last number
SELECT count(), min(number), max(number)
FROM live_runs
WHERE level = {level:UInt8}
