-- Question  : what revenue did the conversions of a period bring, by currency?
-- Parameters: project_id String, from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive: when they converted),
--             as_of UInt64 (run)
-- Returns   : currency (empty where the clients named none), net, refunded (0 or more)
SELECT
    toString(c.currency) AS currency,
    sum(toDecimal128(c.amount, 4)) AS net,
    -sumIf(toDecimal128(c.amount, 4), c.entry = 'refund') AS refunded
FROM credits AS c
WHERE c.project_id = {project_id:String} AND c.scope = 'all' AND c.model = 'linear'
  AND c.cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
  AND c.cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
  AND c.run_id IN (SELECT run_id FROM runs_as_of(as_of = {as_of:UInt64}))
GROUP BY currency
HAVING net != 0 OR refunded != 0
ORDER BY currency
