-- Question  : which click on a link brought a conversion?
-- Parameters: run_id UUID, run_number UInt64, scope_id UUID (of run_conversions); lookback_days UInt16 (where neither the
--             goal nor the project names a window); everything Bool (compare with all that is booked)
-- Books     : credits. Scope clicks, model last_touch: the last click before the conversion, inside the window, that its
--             click id names; only if there is none, that the fingerprint of its visitor names. Without one: nothing
INSERT INTO credits
    (run_id, run_number, project_id, conversion_id, scope, model, touch_id, touched_at, matched_by, converted_at, cell,
     source, medium, campaign, channel, currency, share, amount)
WITH
    scope_ids AS (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID}),
    subject AS
    (
        SELECT c.project_id AS project_id, c.conversion_id AS conversion_id, c.converted_at AS converted_at,
               c.converted_at - toIntervalDay(multiIf(
                   c.window_days != 0, c.window_days, p.lookback_days != 0, p.lookback_days, {lookback_days:UInt16}))
                   AS looks_back_to,
               c.click_id AS click_id, c.fingerprint AS fingerprint,
               if(isNull(c.revenue), '', toString(c.currency)) AS currency,
               ifNull(c.revenue, toDecimal64(0, 4)) AS amount
        FROM
        (
            SELECT project_id, conversion_id, converted_at, window_days, click_id, fingerprint, revenue, currency
            FROM conversions
            WHERE is_conversion AND (project_id, conversion_id) IN (SELECT project_id, conversion_id FROM scope_ids)
        ) AS c
        LEFT JOIN (SELECT project_id, lookback_days FROM projects FINAL) AS p ON p.project_id = c.project_id
    ),
    subject_keys AS
    (
        SELECT project_id, conversion_id, converted_at, looks_back_to, currency, amount, key_pair.1 AS kind,
               key_pair.2 AS key, key_pair.3 AS rank
        FROM subject
        ARRAY JOIN arrayFilter(k -> k.2 != '', [('click', click_id, toUInt8(1)), ('fingerprint', fingerprint, 2)])
            AS key_pair
    ),
    target AS
    (
        SELECT k.project_id AS project_id, k.conversion_id AS conversion_id, k.converted_at AS converted_at,
               k.currency AS currency, k.amount AS amount,
               argMax((t.touch_id, t.touched_at, toString(k.kind), toString(t.source), toString(t.medium),
                       toString(t.campaign), toString(t.channel)),
                      (-toInt16(k.rank), t.touched_at, t.touch_id)) AS touch
        FROM subject_keys AS k
        INNER JOIN
        (
            SELECT project_id, toString(kind) AS kind, key, touched_at, touch_id, source, medium, campaign, channel
            FROM click_keys FINAL
            WHERE (project_id, kind, key) IN (SELECT project_id, kind, key FROM subject_keys)
        ) AS t ON t.project_id = k.project_id AND t.kind = k.kind AND t.key = k.key
        WHERE t.touched_at <= k.converted_at AND t.touched_at > k.looks_back_to
        GROUP BY project_id, conversion_id, converted_at, currency, amount
    )
SELECT
    {run_id:UUID}, {run_number:UInt64}, project_id, conversion_id, 'clicks', 'last_touch', touch.1, touch.2, touch.3,
    converted_at,
    fromUnixTimestamp64Milli(
        toUnixTimestamp64Milli(converted_at) - positiveModulo(toUnixTimestamp64Milli(converted_at), 900000), 'UTC'),
    touch.4, touch.5, touch.6, touch.7, currency, toDecimal64(sum(part), 9), toDecimal64(sum(money), 4)
FROM
(
    SELECT toString(project_id) AS project_id, conversion_id, touch, converted_at, currency,
           toDecimal128(1, 9) AS part, toDecimal128(amount, 4) AS money
    FROM target
    UNION ALL
    SELECT toString(project_id), conversion_id,
           (touch_id, touched_at, toString(matched_by), toString(source), toString(medium), toString(campaign),
            toString(channel)),
           converted_at, toString(currency), -toDecimal128(credits.share, 9), -toDecimal128(credits.amount, 4)
    FROM credits
    WHERE run_id IN (SELECT run_id FROM live_runs) AND scope = 'clicks'
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
GROUP BY project_id, conversion_id, touch, converted_at, currency
HAVING sum(part) != 0 OR sum(money) != 0
