-- Question  : which identities do the reports of a conversion name?
-- Parameters: run_id UUID, scope_id UUID (of run_subjects)
-- Books     : run_keys (scratch): those of its reports, and those of the session that they name
INSERT INTO run_keys (run_id, project_id, conversion_id, kind, key, own)
WITH named AS
(
    SELECT project_id, conversion_id, k.kind AS kind, k.key AS key
    FROM run_subjects
    ARRAY JOIN keys AS k
    WHERE run_id = {scope_id:UUID}
)
SELECT DISTINCT {scope_id:UUID}, project_id, conversion_id, kind, key, true
FROM
(
    SELECT project_id, conversion_id, kind, key FROM named
    UNION ALL
    SELECT n.project_id, n.conversion_id, toString(p.carrier_kind), p.carrier
    FROM named AS n
    INNER JOIN
    (
        SELECT project_id, key, carrier_kind, carrier
        FROM person_keys
        WHERE kind = 'session' AND carrier_kind IN ('contact', 'anonymous')
          AND (project_id, kind, key) IN (SELECT project_id, kind, key FROM named WHERE kind = 'session')
    ) AS p ON p.project_id = n.project_id AND p.key = n.key
    WHERE n.kind = 'session'
)
WHERE (project_id, kind, key) NOT IN (/* capped */)
