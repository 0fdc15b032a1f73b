-- Question  : what was sold, what was refunded, and what remains, by day and currency?
-- Parameters: project_id String, from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive), time_zone String (of
--             the days); by_sale Bool (refunds count on the day of their sale, else on that of the refund)
-- Returns   : day (local YYYY-MM-DD), currency (empty where the client named none), conversions, gross, refunds (how many),
--             refunded. Conversions without revenue are in none of it
WITH
    fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') AS since,
    fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC') AS until
SELECT
    toString(toDate32(at, {time_zone:String})) AS day,
    code AS currency,
    toInt64(sum(sold)) AS conversions,
    sum(taken) AS gross,
    toInt64(sum(given)) AS refunds,
    sum(returned) AS refunded
FROM
(
    SELECT c.converted_at AS at, toString(c.currency) AS code, 1 AS sold, toDecimal128(assumeNotNull(c.revenue), 4) AS taken,
           0 AS given, toDecimal128(0, 4) AS returned
    FROM conversions AS c
    WHERE c.project_id = {project_id:String} AND c.is_conversion AND c.revenue > 0
      AND c.converted_at >= since AND c.converted_at < until
    UNION ALL
    SELECT if({by_sale:Bool}, r.converted_at, r.refunded_at) AS at, toString(r.currency) AS code, 0 AS sold,
           toDecimal128(0, 4) AS taken, 1 AS given, toDecimal128(r.amount, 4) AS returned
    FROM applied_refunds(scope_id = '00000000-0000-0000-0000-000000000000', of_project = {project_id:String}) AS r
    WHERE r.is_conversion AND r.amount > 0 AND at >= since AND at < until
)
GROUP BY day, currency
ORDER BY day, currency
SETTINGS enable_extended_results_for_datetime_functions = 1
