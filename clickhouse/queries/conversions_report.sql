-- Question  : what did conversions of each name bring?
-- Parameters: project_id String, from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive)
-- Returns   : total Bool, name (of the event that reported them), conversions, unique_converters, net and refunded by currency
--             (empty where the client named none). The total row has no name: a person counts in it once. Refunds count on the
--             day of their sale
SELECT
    toBool(grouping(name)) AS total,
    name,
    toInt64(count()) AS conversions,
    toInt64(uniqExact(person)) AS unique_converters,
    sumMap(map(code, taken - returned)) AS net,
    sumMap(map(code, returned)) AS refunded
FROM
(
    SELECT toString(c.kind) AS name, if(c.user_id != '', concat('u:', c.user_id), c.visitor) AS person,
           toString(c.currency) AS code, toDecimal128(ifNull(c.revenue, 0), 4) AS taken, toDecimal128(b.returned, 4) AS returned
    FROM conversions AS c
    LEFT JOIN
    (
        SELECT r.conversion_id AS conversion_id, sum(toDecimal128(r.amount, 4)) AS returned
        FROM applied_refunds(scope_id = '00000000-0000-0000-0000-000000000000', of_project = {project_id:String}) AS r
        WHERE r.is_conversion
        GROUP BY conversion_id
    ) AS b ON b.conversion_id = c.conversion_id
    WHERE c.project_id = {project_id:String} AND c.is_conversion
      AND c.converted_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
      AND c.converted_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
)
GROUP BY GROUPING SETS ((name), ())
ORDER BY total, conversions DESC, name
