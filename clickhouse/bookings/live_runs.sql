-- Question  : which runs count, as a run begins?
-- Parameters: live_id UUID
-- Books     : run_live (scratch): the run that fills it and those that follow it read it, each with what was committed since
INSERT INTO run_live (scope_id, run_id)
SELECT {live_id:UUID}, run_id
FROM live_runs
