-- Question  : which conversions may a run have to book anew?
-- Parameters: scope_id UUID; everything Bool (a sweep looks at all). Deltas of both stages.
-- Books     : run_conversions (scratch): conversions with a new arrival, and those that a new touch or identity may concern
INSERT INTO run_conversions (run_id, project_id, conversion_id)
WITH
    touched_sessions AS
    (
        SELECT DISTINCT project_id, session_id
        FROM event_log
        WHERE identifies AND (/* events_delta */)
    ),
    keys AS
    (
        SELECT project_id, 'session' AS kind, session_id AS key FROM touched_sessions
        UNION DISTINCT
        SELECT p.project_id, toString(p.carrier_kind), p.carrier
        FROM person_keys AS p
        WHERE p.kind = 'session' AND p.carrier_kind IN ('user', 'anonymous', 'click', 'fingerprint')
          AND (p.project_id, p.key) IN (SELECT project_id, session_id FROM touched_sessions)
    )
SELECT DISTINCT {scope_id:UUID}, project_id, conversion_id
FROM
(
    SELECT project_id, conversion_id
    FROM conversion_arrivals
    WHERE {everything:Bool} OR (/* arrivals_delta */)
    UNION ALL
    SELECT project_id, toUUID(carrier) AS conversion_id
    FROM person_keys
    WHERE carrier_kind = 'conversion' AND (project_id, kind, key) IN (SELECT project_id, kind, key FROM keys)
)
