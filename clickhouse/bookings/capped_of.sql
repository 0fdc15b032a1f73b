-- Question  : which of these identities tie nothing together?
-- Parameters: keys Array(Tuple(String, String, String)) (project_id, kind, key)
-- Returns   : project_id, kind, key
SELECT toString(project_id), toString(kind), key
FROM v_capped_keys
WHERE (project_id, kind, key) IN {keys:Array(Tuple(String, String, String))}
