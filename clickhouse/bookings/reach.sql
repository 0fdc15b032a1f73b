-- Question  : where are the touches of the person of a conversion?
-- Parameters: scope_id UUID (of run_keys)
-- Books     : run_reach (scratch): sessions, contacts and fingerprints, each with the best identity that leads there
-- A person  : a session that belongs to another user is never reached by contact, browser or fingerprint; a contact or
--             browser that several users share leads nowhere, unless a report of the conversion itself names it
-- Best      : click, session, user, contact, anonymous, fingerprint (design, section 3)
INSERT INTO run_reach (run_id, project_id, conversion_id, kind, key, matched_by, rank, landed)
WITH
    ['click', 'session', 'user', 'contact', 'anonymous', 'fingerprint'] AS best_first,
    named AS
    (
        SELECT project_id, conversion_id, toString(kind) AS kind, key, own FROM run_keys WHERE run_id = {scope_id:UUID}
    ),
    carriers AS
    (
        SELECT p.project_id AS project_id, toString(p.kind) AS kind, p.key AS key, toString(p.carrier_kind) AS carrier_kind,
               p.carrier AS carrier
        FROM person_keys AS p
        WHERE p.carrier_kind IN ('session', 'conversion')
          AND (p.project_id, p.kind, p.key) IN (SELECT project_id, kind, key FROM named WHERE kind != 'session')
    ),
    owned AS
    (
        SELECT p.project_id AS project_id, toString(p.kind) AS carrier_kind, p.key AS carrier,
               groupUniqArray(p.carrier) AS users
        FROM person_keys AS p
        WHERE p.kind IN ('session', 'conversion') AND p.carrier_kind = 'user' AND (p.project_id, p.kind, p.key) IN
              (SELECT project_id, carrier_kind, carrier FROM carriers WHERE kind IN ('contact', 'anonymous', 'fingerprint'))
        GROUP BY project_id, carrier_kind, carrier
    ),
    shared AS
    (
        SELECT c.project_id AS project_id, c.kind AS kind, c.key AS key
        FROM carriers AS c
        INNER JOIN owned AS o
            ON o.project_id = c.project_id AND o.carrier_kind = c.carrier_kind AND o.carrier = c.carrier
        WHERE c.kind IN ('contact', 'anonymous')
        GROUP BY project_id, kind, key
        HAVING length(groupUniqArrayArray(o.users)) > 1
    ),
    mine AS
    (
        SELECT n.project_id AS project_id, n.conversion_id AS conversion_id, n.kind AS kind, n.key AS key, u.user AS user
        FROM named AS n
        LEFT JOIN
        (
            SELECT project_id, conversion_id, key AS user FROM run_keys WHERE run_id = {scope_id:UUID} AND kind = 'user'
        ) AS u ON u.project_id = n.project_id AND u.conversion_id = n.conversion_id
        WHERE n.own OR n.kind NOT IN ('contact', 'anonymous')
           OR (n.project_id, n.kind, n.key) NOT IN (SELECT project_id, kind, key FROM shared)
    )
SELECT {scope_id:UUID}, project_id, conversion_id, place.1 AS kind, place.2 AS key, best_first[min(rank) AS best], best, false
FROM
(
    SELECT m.project_id AS project_id, m.conversion_id AS conversion_id, toUInt8(indexOf(best_first, m.kind)) AS rank,
           arrayJoin(arrayFilter(p -> p.2 != '', [
               (m.kind, if(m.kind IN ('session', 'contact', 'fingerprint'), m.key, '')),
               ('session', if(m.kind IN ('click', 'user') OR empty(o.users) OR has(o.users, m.user), c.carrier, ''))])) AS place
    FROM mine AS m
    LEFT JOIN (SELECT * FROM carriers WHERE carrier_kind = 'session') AS c
        ON c.project_id = m.project_id AND c.kind = m.kind AND c.key = m.key
    LEFT JOIN (SELECT * FROM owned WHERE carrier_kind = 'session') AS o
        ON o.project_id = c.project_id AND o.carrier = c.carrier
)
GROUP BY project_id, conversion_id, place
