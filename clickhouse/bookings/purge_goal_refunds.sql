-- Question  : which totals does no reader count any more?
-- Parameters: covers_from UInt64
-- Books     : nothing; deletes goal_refunds of runs that earlier folds replaced. The entries stay, for as_of
DELETE FROM goal_refunds
WHERE run_number < {covers_from:UInt64} AND run_id NOT IN (SELECT run_id FROM live_runs)
