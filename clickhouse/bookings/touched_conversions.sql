-- Question  : which conversions may a run have to book anew, and why?
-- Parameters: scope_id UUID (of run_closure); everything Bool (a sweep looks at all facts, and at all that is booked).
--             Deltas of both stages.
-- Books     : run_conversions (scratch): conversions with a new report, and those that a new touch or identity may concern
INSERT INTO run_conversions (run_id, project_id, conversion_id, cause)
SELECT {scope_id:UUID}, project_id, conversion_id, argMin(cause, indexOf(['arrival', 'refund', 'touch', 'sweep'], cause))
FROM
(
    SELECT project_id, conversion_id, if({everything:Bool}, 'sweep', 'arrival') AS cause
    FROM conversion_arrivals
    WHERE {everything:Bool} OR (/* arrivals_delta */)
    UNION ALL
    SELECT project_id, toUUID(key), if(kind = 'refunded', 'refund', 'touch')
    FROM run_closure
    WHERE run_id = {scope_id:UUID} AND kind IN ('conversion', 'refunded')
    UNION ALL
    SELECT DISTINCT project_id, conversion_id, 'sweep' FROM credits WHERE {everything:Bool}
)
GROUP BY project_id, conversion_id
