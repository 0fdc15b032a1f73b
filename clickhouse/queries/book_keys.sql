-- Question  : which further look-ups can find anything for the conversions of a run?
-- Parameters: scope_id UUID (of run_keys, run_booked)
-- Returns   : whether a conversion names no user but something that may tell one, whether any names a user, how many have
--             credits already
SELECT
    uniqExactIf((project_id, conversion_id), kind IN ('contact', 'session', 'anonymous'))
        > uniqExactIf((project_id, conversion_id), kind IN ('contact', 'session', 'anonymous')
                      AND (project_id, conversion_id) IN
                          (SELECT project_id, conversion_id FROM run_keys WHERE run_id = {scope_id:UUID} AND kind = 'user')),
    countIf(kind = 'user') > 0,
    (SELECT uniqExact(project_id, conversion_id) FROM run_booked WHERE run_id = {scope_id:UUID})
FROM run_keys
WHERE run_id = {scope_id:UUID}
