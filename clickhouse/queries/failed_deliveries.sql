-- Question  : which deliveries of a destination were given up?
-- Parameters: project_id, destination_id String; limit UInt32
-- Returns   : one row a delivery whose newest attempt neither was taken nor will be repeated, oldest first: destination,
--             event and the announcement. Skipped ones are not among them: nothing failed
SELECT
    any(d.destination_id) AS destination_id,
    toString(argMax(d.event, (d.attempted_at, d.attempt_id))) AS event,
    argMax(d.notice, (d.attempted_at, d.attempt_id)) AS notice
FROM deliveries AS d FINAL
WHERE d.project_id = {project_id:String} AND d.destination_id = {destination_id:String}
GROUP BY d.delivery_id
HAVING argMax(d.outcome, (d.attempted_at, d.attempt_id)) NOT IN ('delivered', 'skipped')
   AND argMax(ifNull(toUnixTimestamp64Milli(d.next_attempt_at), 0), (d.attempted_at, d.attempt_id)) = 0
ORDER BY min(d.attempted_at)
LIMIT {limit:UInt32}
