-- Question  : which run of the booker was the newest, by number or by time?
-- Parameters: number Int64 (this run; -1: any), at_ms Int64 (Unix ms: committed by then; -1: whenever)
-- Returns   : number (0 before the first), committed_ms (0 before the first), newest (of all)
SELECT
    toInt64(max(r.number)) AS number,
    toUnixTimestamp64Milli(argMax(r.committed_at, r.number)) AS committed_ms,
    (SELECT toInt64(max(number)) FROM runs) AS newest
FROM runs AS r
WHERE ({number:Int64} < 0 OR r.number <= {number:Int64})
  AND ({at_ms:Int64} < 0 OR r.committed_at <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC'))
