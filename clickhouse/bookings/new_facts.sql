-- Question  : what is new: which sessions have a new touch or identity, which conversions a new report?
-- Parameters: none. Deltas of both stages.
-- Returns   : kind, project_id, key, and whether the walk to what depends on it starts there; where it does not, only the
--             edges of the key are counted: a report does not lead to its click and fingerprint. A part of touched.sql
SELECT DISTINCT 'session' AS kind, project_id, session_id AS key, true AS starts
FROM event_log
WHERE identifies AND (/* events_delta */)
UNION ALL
SELECT DISTINCT 'conversion', project_id, toString(conversion_id), true
FROM conversion_arrivals
WHERE (/* arrivals_delta */)
UNION ALL
SELECT DISTINCT edge.1, project_id, edge.2, false
FROM conversion_arrivals
ARRAY JOIN arrayFilter(k -> k.2 != '', [('click', click_id), ('fingerprint', fingerprint)]) AS edge
WHERE (/* arrivals_delta */)
