-- Question  : which clicks on links did a conversion name, or led into the sessions of its person?
-- Parameters: scope_id UUID (of run_keys and run_reach)
-- Books     : run_reach (scratch): these clicks, and whether the session they led into shows a source itself: then that
--             touch stands for both, where touches of all kinds are counted
INSERT INTO run_reach (run_id, project_id, conversion_id, kind, key, matched_by, rank, landed)
WITH
    visits AS
    (
        SELECT project_id, conversion_id, key AS session_id, toString(matched_by) AS matched_by, rank
        FROM run_reach
        WHERE run_id = {scope_id:UUID} AND kind = 'session'
    ),
    landings AS
    (
        SELECT p.project_id AS project_id, p.key AS session_id, p.carrier AS click_id
        FROM person_keys AS p
        WHERE p.kind = 'session' AND p.carrier_kind = 'click'
          AND (p.project_id, p.kind, p.key) IN (SELECT project_id, 'session', session_id FROM visits)
          AND (p.project_id, 'click', p.carrier) IN (SELECT project_id, kind, key FROM click_keys WHERE kind = 'click')
    ),
    telling AS
    (
        SELECT DISTINCT project_id, session_id
        FROM touches FINAL
        WHERE kind IN ('entry', 'campaign') AND source != '(direct)'
          AND (project_id, session_id) IN (SELECT project_id, session_id FROM landings)
    )
SELECT {scope_id:UUID}, project_id, conversion_id, 'click', click_id, argMin(matched_by, rank), min(rank), max(landed)
FROM
(
    SELECT v.project_id AS project_id, v.conversion_id AS conversion_id, l.click_id AS click_id,
           v.matched_by AS matched_by, v.rank AS rank,
           (l.project_id, l.session_id) IN (SELECT project_id, session_id FROM telling) AS landed
    FROM visits AS v
    INNER JOIN landings AS l ON l.project_id = v.project_id AND l.session_id = v.session_id
    UNION ALL
    SELECT project_id, conversion_id, key, 'click', 1, false
    FROM run_keys
    WHERE run_id = {scope_id:UUID} AND kind = 'click'
)
GROUP BY project_id, conversion_id, click_id
