-- Question  : which user is behind a conversion whose reports name none?
-- Parameters: run_id UUID, scope_id UUID (of run_keys)
-- Books     : run_keys (scratch): the one user of its contact, else of its session, else of its browser. Two users on one
--             device or address are never merged: such a key names nobody
INSERT INTO run_keys (run_id, project_id, conversion_id, kind, key, own)
WITH
    nameless AS
    (
        SELECT project_id, conversion_id, toString(kind) AS kind, key
        FROM run_keys
        WHERE run_id = {scope_id:UUID} AND kind IN ('contact', 'session', 'anonymous')
          AND (project_id, conversion_id) NOT IN
              (SELECT project_id, conversion_id FROM run_keys WHERE run_id = {scope_id:UUID} AND kind = 'user')
    ),
    carriers AS
    (
        SELECT project_id, kind, key, 'session' AS carrier_kind, key AS carrier FROM nameless WHERE kind = 'session'
        UNION DISTINCT
        SELECT project_id, toString(kind), key, toString(carrier_kind), carrier
        FROM person_keys
        WHERE kind IN ('contact', 'anonymous') AND carrier_kind IN ('session', 'conversion')
          AND (project_id, kind, key) IN (SELECT project_id, kind, key FROM nameless)
    ),
    users AS
    (
        SELECT c.project_id AS project_id, c.kind AS kind, c.key AS key, any(u.user) AS user
        FROM carriers AS c
        INNER JOIN
        (
            SELECT p.project_id AS project_id, toString(p.kind) AS carrier_kind, p.key AS carrier, p.carrier AS user
            FROM person_keys AS p
            WHERE p.kind IN ('session', 'conversion') AND p.carrier_kind = 'user'
              AND (p.project_id, p.kind, p.key) IN (SELECT project_id, carrier_kind, carrier FROM carriers)
        ) AS u ON u.project_id = c.project_id AND u.carrier_kind = c.carrier_kind AND u.carrier = c.carrier
        GROUP BY project_id, kind, key
        HAVING uniqExact(u.user) = 1
    )
SELECT {scope_id:UUID}, n.project_id, n.conversion_id, 'user',
       argMin(u.user, (indexOf(['contact', 'session', 'anonymous'], n.kind), u.user)), false
FROM nameless AS n
INNER JOIN users AS u ON u.project_id = n.project_id AND u.kind = n.kind AND u.key = n.key
WHERE (u.project_id, 'user', u.user) NOT IN (/* capped */)
GROUP BY n.project_id, n.conversion_id
