-- Question  : how many conversions does a run look at?
-- Parameters: scope_id UUID
-- Returns   : count
SELECT count()
FROM run_conversions
WHERE run_id = {scope_id:UUID}
