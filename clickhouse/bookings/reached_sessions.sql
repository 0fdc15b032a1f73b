-- Question  : whose sessions may be credited for the conversions of a run?
-- Parameters: scope_id UUID (of run_conversions), lookback_days UInt16 (where the project names none)
-- Books     : run_sessions (scratch): the sessions that carry a key of the conversion, with the best key by rank
-- A key     : is a row of `subject_keys` below; identity chains will be further branches of the union
INSERT INTO run_sessions (run_id, project_id, conversion_id, converted_at, looks_back_to, session_id, matched_by, rank)
WITH
    subject AS
    (
        SELECT c.project_id AS project_id, c.conversion_id AS conversion_id, c.converted_at AS converted_at,
               c.converted_at - toIntervalDay(if(p.lookback_days = 0, {lookback_days:UInt16}, p.lookback_days))
                   AS looks_back_to,
               c.click_id AS click_id, c.session_id AS session_id, c.user_id AS user_id, c.anonymous_id AS anonymous_id
        FROM
        (
            SELECT project_id, conversion_id, converted_at, click_id, session_id, user_id, anonymous_id
            FROM conversions
            WHERE is_conversion AND (project_id, conversion_id) IN
                  (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID})
        ) AS c
        LEFT JOIN (SELECT project_id, lookback_days FROM projects FINAL) AS p ON p.project_id = c.project_id
    ),
    subject_keys AS
    (
        SELECT project_id, conversion_id, converted_at, looks_back_to, key_pair.1 AS kind, key_pair.2 AS key,
               key_pair.3 AS rank
        FROM subject
        ARRAY JOIN arrayFilter(k -> k.2 != '', [
            ('click', click_id, toUInt8(1)), ('session', session_id, 2), ('user', user_id, 3),
            ('anonymous', anonymous_id, 4)]) AS key_pair
    )
SELECT {scope_id:UUID}, project_id, conversion_id, converted_at, looks_back_to, session_id, best.2, best.1
FROM
(
    SELECT project_id, conversion_id, converted_at, looks_back_to, session_id, min((rank, toString(kind))) AS best
    FROM
    (
        SELECT k.project_id AS project_id, k.conversion_id AS conversion_id, k.converted_at AS converted_at,
               k.looks_back_to AS looks_back_to, k.kind AS kind, k.rank AS rank,
               arrayJoin(if(k.kind = 'session', [k.key], p.sessions)) AS session_id
        FROM subject_keys AS k
        LEFT JOIN
        (
            SELECT project_id, toString(kind) AS kind, key, groupUniqArray(carrier) AS sessions
            FROM person_keys
            WHERE carrier_kind = 'session' AND kind IN ('click', 'user', 'anonymous')
              AND (project_id, kind, key) IN (SELECT project_id, kind, key FROM subject_keys WHERE kind != 'session')
            GROUP BY project_id, kind, key
        ) AS p ON p.project_id = k.project_id AND p.kind = k.kind AND p.key = k.key
    )
    GROUP BY project_id, conversion_id, converted_at, looks_back_to, session_id
)
