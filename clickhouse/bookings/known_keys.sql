-- Question  : which other contacts and browsers are known for the user behind a conversion?
-- Parameters: run_id UUID, scope_id UUID (of run_keys)
-- Books     : run_keys (scratch)
INSERT INTO run_keys (run_id, project_id, conversion_id, kind, key, own)
WITH
    people AS
    (
        SELECT project_id, conversion_id, key AS user FROM run_keys WHERE run_id = {scope_id:UUID} AND kind = 'user'
    ),
    carriers AS
    (
        SELECT project_id, key AS user, toString(carrier_kind) AS carrier_kind, carrier
        FROM person_keys
        WHERE kind = 'user' AND carrier_kind IN ('session', 'conversion')
          AND (project_id, kind, key) IN (SELECT project_id, 'user', user FROM people)
    ),
    known AS
    (
        SELECT DISTINCT c.project_id AS project_id, c.user AS user, k.kind AS kind, k.key AS key
        FROM carriers AS c
        INNER JOIN
        (
            SELECT p.project_id AS project_id, toString(p.kind) AS carrier_kind, p.key AS carrier,
                   toString(p.carrier_kind) AS kind, p.carrier AS key
            FROM person_keys AS p
            WHERE p.kind IN ('session', 'conversion') AND p.carrier_kind IN ('contact', 'anonymous')
              AND (p.project_id, p.kind, p.key) IN (SELECT project_id, carrier_kind, carrier FROM carriers)
        ) AS k ON k.project_id = c.project_id AND k.carrier_kind = c.carrier_kind AND k.carrier = c.carrier
    )
SELECT DISTINCT {scope_id:UUID}, p.project_id, p.conversion_id, k.kind, k.key, false
FROM people AS p
INNER JOIN known AS k ON k.project_id = p.project_id AND k.user = p.user
WHERE (p.project_id, p.conversion_id, k.kind, k.key) NOT IN
      (SELECT project_id, conversion_id, kind, key FROM run_keys WHERE run_id = {scope_id:UUID})
  AND (k.project_id, k.kind, k.key) NOT IN (/* capped */)
