-- Question  : which identities make up the person of a conversion?
-- Parameters: scope_id UUID (of run_keys and run_subjects), project_id String
-- Returns   : kind, key, own (a report of the conversion names it), capped (it has too many edges to join anything)
SELECT toString(k.kind) AS kind, k.key AS key, max(k.own) AS own, false AS capped
FROM run_keys AS k
WHERE k.run_id = {scope_id:UUID}
GROUP BY kind, key
UNION ALL
SELECT toString(p.kind) AS kind, p.key AS key, true AS own, true AS capped
FROM v_capped_keys AS p
WHERE p.project_id = {project_id:String} AND (p.kind, p.key) IN
(
    SELECT s.keys.kind, s.keys.key
    FROM run_subjects AS s
    ARRAY JOIN s.keys
    WHERE s.run_id = {scope_id:UUID}
)
ORDER BY own DESC, kind, key
