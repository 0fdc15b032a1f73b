-- Question  : whose credit is new, changed or wrong?
-- Parameters: run_id UUID, run_number UInt64, scope_id UUID (of run_conversions and run_sessions);
--             everything Bool (compare with all that is booked)
-- Books     : credits. Scope all, model last_touch: the last known source before the conversion, direct only if there is none
-- A model   : is a branch of `shares` below, and nothing else
INSERT INTO credits
    (run_id, run_number, project_id, conversion_id, scope, model, touch_id, touched_at, matched_by, converted_at, cell,
     source, medium, campaign, channel, currency, share, amount)
WITH
    toUUID('00000000-0000-0000-0000-000000000000') AS no_touch,
    scope_ids AS (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID}),
    known_touches AS
    (
        -- An entry counts if it is the first touch of its session: others were first only while events were missing.
        SELECT project_id, session_id, touched_at, touch_id, source, medium, campaign, channel
        FROM
        (
            SELECT *, min((touched_at, touch_id)) OVER (PARTITION BY project_id, session_id) AS entry
            FROM touches FINAL
            WHERE (project_id, session_id) IN
                  (SELECT project_id, session_id FROM run_sessions WHERE run_id = {scope_id:UUID})
        )
        WHERE source != '(direct)' AND (kind = 'campaign' OR (touched_at, touch_id) = entry)
    ),
    candidates AS
    (
        SELECT r.project_id AS project_id, r.conversion_id AS conversion_id, min((r.rank, toString(r.matched_by))) AS matched,
               t.touch_id AS touch_id, t.touched_at AS touched_at, t.source AS source, t.medium AS medium,
               t.campaign AS campaign, t.channel AS channel
        FROM run_sessions AS r
        INNER JOIN known_touches AS t ON t.project_id = r.project_id AND t.session_id = r.session_id
        WHERE r.run_id = {scope_id:UUID} AND t.touched_at <= r.converted_at AND t.touched_at > r.looks_back_to
        GROUP BY project_id, conversion_id, touch_id, touched_at, source, medium, campaign, channel
    ),
    shares AS
    (
        SELECT project_id, conversion_id, 'last_touch' AS model, toDecimal64(1, 9) AS share,
               argMax((touch_id, touched_at, matched.2, toString(source), toString(medium), toString(campaign),
                       toString(channel)), (touched_at, touch_id)) AS touch
        FROM candidates
        GROUP BY project_id, conversion_id
    ),
    target AS
    (
        SELECT s.project_id AS project_id, s.conversion_id AS conversion_id,
               if(h.model = '', 'last_touch', h.model) AS model,
               if(h.model = '', (no_touch, s.converted_at, '', '(direct)', '(none)', '', 'Direct'), h.touch) AS touch,
               if(h.model = '', toDecimal64(1, 9), h.share) AS share,
               s.converted_at AS converted_at, s.currency AS currency, s.amount AS amount
        FROM
        (
            SELECT project_id, conversion_id, converted_at, if(isNull(c.revenue), '', toString(c.currency)) AS currency,
                   ifNull(c.revenue, toDecimal64(0, 4)) AS amount
            FROM conversions AS c
            WHERE is_conversion AND (project_id, conversion_id) IN (SELECT project_id, conversion_id FROM scope_ids)
        ) AS s
        LEFT JOIN shares AS h ON h.project_id = s.project_id AND h.conversion_id = s.conversion_id
    )
SELECT
    {run_id:UUID}, {run_number:UInt64}, project_id, conversion_id, 'all', model, touch.1, touch.2, touch.3, converted_at,
    fromUnixTimestamp64Milli(
        toUnixTimestamp64Milli(converted_at) - positiveModulo(toUnixTimestamp64Milli(converted_at), 900000), 'UTC'),
    touch.4, touch.5, touch.6, touch.7, currency, toDecimal64(sum(part), 9), toDecimal64(sum(money), 4)
FROM
(
    SELECT toString(project_id) AS project_id, conversion_id, model, touch, converted_at, currency,
           toDecimal128(share, 9) AS part, toDecimal128(amount, 4) AS money
    FROM target
    UNION ALL
    SELECT toString(project_id), conversion_id, toString(model),
           (touch_id, touched_at, toString(matched_by), toString(source), toString(medium), toString(campaign),
            toString(channel)),
           converted_at, toString(currency), -toDecimal128(credits.share, 9), -toDecimal128(credits.amount, 4)
    FROM credits
    WHERE run_id IN (SELECT run_id FROM live_runs) AND scope = 'all'
      AND ({everything:Bool} OR (
          cell IN
          (
              SELECT DISTINCT fromUnixTimestamp64Milli(
                  toUnixTimestamp64Milli(converted_at) - positiveModulo(toUnixTimestamp64Milli(converted_at), 900000), 'UTC')
              FROM conversion_arrivals
              WHERE (project_id, conversion_id) IN (SELECT project_id, conversion_id FROM scope_ids)
          )
          AND (project_id, conversion_id) IN (SELECT project_id, conversion_id FROM scope_ids)))
)
GROUP BY project_id, conversion_id, model, touch, converted_at, currency
HAVING sum(part) != 0 OR sum(money) != 0
