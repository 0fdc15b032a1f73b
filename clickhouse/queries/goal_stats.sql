-- Question  : how often was a goal hit, and by how many persons?
-- Parameters: project_id String, goal_id UUID, from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive)
-- Returns   : conversions, unique_conversions (persons with at least one hit); one row
SELECT
    toInt64(sum(net)) AS conversions,
    toInt64(countIf(net > 0)) AS unique_conversions
FROM
(
    SELECT person, sum(toInt64(conversions)) AS net
    FROM goal_bookings
    WHERE project_id = {project_id:String}
      AND goal_id = {goal_id:UUID}
      AND cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
      AND cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
      AND (project_id, goal_id, definition) IN (SELECT project_id, goal_id, definition FROM served_definitions)
      AND run_id IN (SELECT run_id FROM live_runs)
    GROUP BY person
)
