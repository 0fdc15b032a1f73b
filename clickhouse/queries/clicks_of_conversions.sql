-- Question  : which click on a link is each of these conversions attributed to?
-- Parameters: lookback_days UInt16 (where neither goal nor project names a window)
-- Tables    : announced, sent with the question: project_id, conversion_id
-- Returns   : a row for each that is known: the click id it names (empty: none), and link_id and click_id of the click
--             that this names, else of the last one inside the window that its visitor's fingerprint names (0: none)
WITH
    subjects AS
    (
        SELECT c.project_id AS project_id, c.conversion_id AS conversion_id, c.click_id AS named,
               c.fingerprint AS fingerprint, c.converted_at AS converted_at,
               c.converted_at - toIntervalDay(multiIf(
                   c.window_days != 0, c.window_days, p.lookback_days != 0, p.lookback_days, {lookback_days:UInt16}))
                   AS looks_back_to
        FROM
        (
            SELECT * FROM conversions
            WHERE (project_id, conversion_id) IN (SELECT project_id, conversion_id FROM announced)
        ) AS c
        LEFT JOIN (SELECT project_id, lookback_days FROM projects FINAL) AS p ON p.project_id = c.project_id
    ),
    names AS
    (
        SELECT project_id, conversion_id, name.1 AS kind, name.2 AS key, converted_at, looks_back_to
        FROM subjects
        ARRAY JOIN arrayFilter(n -> n.2 != '', [('click', named), ('fingerprint', fingerprint)]) AS name
    ),
    touches AS
    (
        SELECT n.project_id AS project_id, n.conversion_id AS conversion_id,
               argMax((k.link_id, k.touched_at, k.touch_id), (k.kind = 'click', k.touched_at, k.touch_id)) AS best
        FROM names AS n
        INNER JOIN
        (
            SELECT project_id, toString(click_keys.kind) AS kind, key, link_id, touched_at, touch_id
            FROM click_keys
            WHERE (project_id, click_keys.kind, key) IN (SELECT project_id, kind, key FROM names)
        ) AS k ON k.project_id = n.project_id AND k.kind = n.kind AND k.key = n.key
        WHERE k.kind = 'click' OR (k.touched_at <= n.converted_at AND k.touched_at > n.looks_back_to)
        GROUP BY project_id, conversion_id
    )
SELECT toString(s.conversion_id) AS conversion_id, s.named AS named, toInt64(t.best.1) AS link_id, l.click_id AS click_id
FROM subjects AS s
LEFT JOIN touches AS t ON t.project_id = s.project_id AND t.conversion_id = s.conversion_id
LEFT JOIN
(
    SELECT project_id, touch_id, any(click_id) AS click_id
    FROM clicks
    WHERE (project_id, link_id, clicked_at, touch_id) IN (SELECT project_id, best.1, best.2, best.3 FROM touches)
    GROUP BY project_id, touch_id
) AS l ON l.project_id = s.project_id AND l.touch_id = t.best.3
