-- Question  : what money came with the hits of a goal, by currency and UTC day? (Rates are dated by the UTC day.)
-- Parameters: project_id String, goal_id UUID, from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive)
-- Returns   : currency (empty where the client named none), day (YYYY-MM-DD), amount
SELECT
    toString(currency) AS currency,
    toString(toDate32(cell)) AS day,
    sum(toDecimal128(revenue, 4)) AS amount
FROM v_goal_stats
WHERE project_id = {project_id:String}
  AND goal_id = {goal_id:UUID}
  AND cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
  AND cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
GROUP BY currency, day
HAVING amount != 0
ORDER BY currency, day
