-- Question  : which definition of each goal is complete?
-- Parameters: none
-- Returns   : goal_id, definition
SELECT toString(goal_id), definition
FROM served_definitions
