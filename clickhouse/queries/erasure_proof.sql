-- Question  : how far is the erasing that a request asked for, and what proves it?
-- Parameters: project_id String, request_id UUID
-- Returns   : its rounds in order; done_ms 0: in work
SELECT
    toInt64(e.round) AS round,
    toString(e.state) AS state,
    e.identities AS identities,
    e.rows_before AS rows_before,
    e.rows_after AS rows_after,
    e.request_hash AS request_hash,
    toInt64(ifNull(toUnixTimestamp64Milli(e.done_at), 0)) AS done_ms
FROM erasures AS e FINAL
WHERE e.project_id = {project_id:String} AND e.request_id = {request_id:UUID}
ORDER BY e.round
