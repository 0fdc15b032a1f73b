-- Question  : which conversions must a goal that has not counted history look at?
-- Parameters: scope_id UUID, set_id UUID
-- Books     : run_conversions (scratch): all conversions of the projects whose goals are not complete
INSERT INTO run_conversions (run_id, project_id, conversion_id)
SELECT DISTINCT {scope_id:UUID}, project_id, conversion_id
FROM conversion_arrivals
WHERE project_id IN (SELECT project_id FROM goal_sets WHERE set_id = {set_id:UUID} AND NOT complete)
