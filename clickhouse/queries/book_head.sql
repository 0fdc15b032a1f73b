-- Question  : which run does the next one build on?
-- Parameters: none
-- Returns   : number, run_id, offsets, control_offset, rules of the newest committed run; no row before the first
SELECT number, toString(run_id), offsets, control_offset, rules
FROM runs
WHERE number = (SELECT max(number) FROM runs)
ORDER BY run_id
LIMIT 1
