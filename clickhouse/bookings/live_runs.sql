-- Question  : which runs count, as this one begins?
-- Parameters: run_id UUID
-- Books     : run_live (scratch)
INSERT INTO run_live (scope_id, run_id)
SELECT {run_id:UUID}, run_id
FROM live_runs
