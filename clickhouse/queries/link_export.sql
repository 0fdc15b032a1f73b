-- Question  : which conversions did clicks on links bring, one by one?
-- Parameters: project_id String, link_id UInt64 (0: any link), from_ms Int64, to_ms Int64 (Unix ms of conversions; from
--             inclusive, to exclusive)
-- Returns   : one row a conversion, in order of time; value empty where there is none; time_to_convert in seconds
SELECT
    b.conversion_id AS conversion_id,
    k.link_id AS link_id,
    k.click_id AS click_id,
    formatDateTime(b.touched_at, '%Y-%m-%dT%H:%i:%SZ', 'UTC') AS clicked_at,
    formatDateTime(b.converted_at, '%Y-%m-%dT%H:%i:%SZ', 'UTC') AS converted_at,
    toString(c.kind) AS goal_type,
    c.order_id AS order_id,
    if(b.code = '', '', toString(b.money)) AS value,
    b.code AS currency,
    b.matched_by AS matched_by,
    (toUnixTimestamp64Milli(b.converted_at) - toUnixTimestamp64Milli(b.touched_at)) / 1000 AS time_to_convert
FROM
(
    SELECT conversion_id, touch_id, touched_at, converted_at, toString(matched_by) AS matched_by,
           toString(currency) AS code,
           sum(toDecimal128(credits.share, 9)) AS part,
           sum(toDecimal128(credits.amount, 4)) AS money
    FROM credits
    WHERE project_id = {project_id:String} AND scope = 'clicks' AND model = 'last_touch'
      AND cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
      AND cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
      AND run_id IN (SELECT run_id FROM live_runs)
    GROUP BY conversion_id, touch_id, touched_at, converted_at, matched_by, code
    HAVING part > 0
) AS b
INNER JOIN
(
    SELECT touch_id, link_id, click_id
    FROM clicks FINAL
    WHERE project_id = {project_id:String} AND ({link_id:UInt64} = 0 OR link_id = {link_id:UInt64})
) AS k ON k.touch_id = b.touch_id
INNER JOIN
(
    SELECT conversion_id, kind, order_id FROM conversions WHERE project_id = {project_id:String}
) AS c ON c.conversion_id = b.conversion_id
ORDER BY b.converted_at, b.conversion_id
