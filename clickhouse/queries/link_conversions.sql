-- Question  : how many conversions did clicks on links bring, with what value and how soon, by day and currency?
-- Parameters: project_id String, link_id UInt64 (0: any link), from_ms Int64, to_ms Int64 (Unix ms of conversions; from
--             inclusive, to exclusive), time_zone String (of the days)
-- Returns   : day (local YYYY-MM-DD), currency (empty: without value), conversions, value, convert_ms (sum of the times
--             from click to conversion)
SELECT
    toString(toDate32(converted_at, {time_zone:String})) AS day,
    code AS currency,
    toInt64(count()) AS conversions,
    sum(money) AS value,
    toInt64(sum(toUnixTimestamp64Milli(converted_at) - toUnixTimestamp64Milli(touched_at))) AS convert_ms
FROM
(
    SELECT conversion_id, touch_id, touched_at, converted_at, toString(currency) AS code,
           sum(toDecimal128(credits.share, 9)) AS part,
           sum(toDecimal128(credits.amount, 4)) AS money
    FROM credits
    WHERE project_id = {project_id:String} AND scope = 'clicks' AND model = 'last_touch'
      AND cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
      AND cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
      AND run_id IN (SELECT run_id FROM live_runs)
      AND ({link_id:UInt64} = 0 OR touch_id IN
          (SELECT touch_id FROM clicks WHERE project_id = {project_id:String} AND link_id = {link_id:UInt64}))
    GROUP BY conversion_id, touch_id, touched_at, converted_at, code
    HAVING part > 0
)
GROUP BY day, currency
ORDER BY day, currency
SETTINGS enable_extended_results_for_datetime_functions = 1
