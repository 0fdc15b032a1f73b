-- Question  : what is new: which sessions have a new touch or identity, which conversions a new report?
-- Parameters: scope_id UUID. Deltas of both stages.
-- Books     : run_closure (scratch): where hop.sql begins
INSERT INTO run_closure (run_id, kind, project_id, key)
SELECT DISTINCT {scope_id:UUID}, 'session', project_id, session_id
FROM event_log
WHERE identifies AND (/* events_delta */)
UNION ALL
SELECT DISTINCT {scope_id:UUID}, 'conversion', project_id, toString(conversion_id)
FROM conversion_arrivals
WHERE (/* arrivals_delta */)
