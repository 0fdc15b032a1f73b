-- Question  : where does the walk of a run over many facts begin?
-- Parameters: run_id, scope_id UUID. Deltas of both stages.
-- Books     : run_closure (scratch): where hop.sql begins; at keys capped in this run, too: what they tied together must be
--             attributed anew
INSERT INTO run_closure (run_id, kind, project_id, key)
SELECT {scope_id:UUID}, kind, project_id, key
FROM (/* new facts */)
WHERE starts
UNION ALL
SELECT {scope_id:UUID}, toString(kind), project_id, key
FROM capped_keys
WHERE run_id = {run_id:UUID}
