-- Question  : which conversions does a new refund concern, in a run over many facts?
-- Parameters: scope_id UUID. Deltas of both stages.
-- Books     : run_closure (scratch), as kind refunded
INSERT INTO run_closure (run_id, kind, project_id, key)
SELECT {scope_id:UUID}, 'refunded', project_id, key
FROM (/* new refunds */)
