-- Question  : which conversions of a run have credits already, and in which cells?
-- Parameters: run_id UUID (of run_conversions); everything Bool (compare with all that is booked)
-- Books     : run_booked (scratch). An entry is in the cell of a time that a report of its conversion states
INSERT INTO run_booked (run_id, project_id, cell, conversion_id, cause)
WITH looked_at AS (SELECT project_id, conversion_id, cause FROM run_conversions WHERE run_id = {run_id:UUID})
SELECT DISTINCT {run_id:UUID}, b.project_id, b.cell, b.conversion_id, l.cause
FROM credits AS b
INNER JOIN looked_at AS l ON l.project_id = b.project_id AND l.conversion_id = b.conversion_id
WHERE b.run_id IN (/* live */)
  AND ({everything:Bool} OR (b.project_id, b.cell, b.conversion_id) IN
  (
      SELECT project_id,
             fromUnixTimestamp64Milli(
                 toUnixTimestamp64Milli(converted_at) - positiveModulo(toUnixTimestamp64Milli(converted_at), 900000), 'UTC'),
             conversion_id
      FROM conversion_arrivals
      WHERE (project_id, conversion_id) IN (SELECT project_id, conversion_id FROM looked_at)
  ))
