-- Question  : how many clicks did links have, by day?
-- Parameters: project_id String, link_id UInt64 (0: any link), from_ms Int64, to_ms Int64 (Unix ms of clicks; from
--             inclusive, to exclusive), time_zone String (of the days)
-- Returns   : day (local YYYY-MM-DD), clicks (of people, and whatever brought a conversion), marked (bots, prefetches)
WITH brought AS
(
    SELECT touch_id
    FROM credits
    WHERE project_id = {project_id:String} AND scope = 'clicks' AND run_id IN (SELECT run_id FROM live_runs)
    GROUP BY touch_id
    HAVING sum(toDecimal128(credits.share, 9)) > 0
)
SELECT
    toString(toDate32(clicked_at, {time_zone:String})) AS day,
    toInt64(countIf(empty(marks) OR touch_id IN (SELECT touch_id FROM brought))) AS clicks,
    toInt64(count()) - clicks AS marked
FROM clicks FINAL
WHERE project_id = {project_id:String}
  AND ({link_id:UInt64} = 0 OR link_id = {link_id:UInt64})
  AND clicked_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
  AND clicked_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
GROUP BY day
ORDER BY day
SETTINGS enable_extended_results_for_datetime_functions = 1
