-- Question  : how far is the erasing that requests asked for?
-- Parameters: none
-- Returns   : the newest round of each request: its number, state and salt, when it began, and what was there before
SELECT
    toString(request_id) AS request,
    toInt64(max(erasures.round)) AS newest,
    toString(argMax(state, (erasures.round, version))) AS state,
    argMax(salt, (erasures.round, version)) AS salt,
    argMax(rows_before, (erasures.round, version)) AS before,
    argMax(identities, (erasures.round, version)) AS identities,
    toUnixTimestamp64Milli(argMax(started_at, (erasures.round, version))) AS started_ms
FROM erasures
GROUP BY request_id
