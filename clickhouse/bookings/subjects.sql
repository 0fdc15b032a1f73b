-- Question  : which conversions does a run attribute, and what of them matters for it?
-- Parameters: scope_id UUID (of run_conversions and run_refunds), lookback_days UInt16 (where neither the conversion, its goal nor the project
--             names a window), email_days UInt16 (the same for e-mail interactions, which ask no project)
-- Books     : run_subjects (scratch)
INSERT INTO run_subjects
    (run_id, project_id, conversion_id, cause, converted_at, window_days, email_days, campaign_id, flow_id, keys, currency,
     steps)
SELECT
    {scope_id:UUID}, c.project_id, c.conversion_id, r.cause, c.converted_at,
    multiIf(c.attribution_window_days != 0, toUInt16(c.attribution_window_days), c.window_days != 0, c.window_days,
            p.lookback_days != 0, p.lookback_days, {lookback_days:UInt16}),
    multiIf(c.attribution_window_days != 0, toUInt16(c.attribution_window_days), c.window_days != 0, c.window_days,
            {email_days:UInt16}),
    c.campaign_id, c.flow_id,
    arrayFilter(k -> k.2 != '', [
        ('click', c.click_id), ('session', c.session_id), ('user', c.user_id), ('contact', c.contact_id),
        ('anonymous', c.anonymous_id), ('fingerprint', c.fingerprint)]),
    if(isNull(c.revenue), '', toString(c.currency)),
    arrayPushFront(
        arrayMap((refund, taken) -> ('refund', refund.3, refund.1, c.gross - taken + refund.4, c.gross - taken),
                 f.given, arrayCumSum(f.given.4)),
        ('sale', toUUID('00000000-0000-0000-0000-000000000000'), c.converted_at, toInt128(0), c.gross))
FROM
(
    SELECT *, toInt128(toDecimal128(ifNull(revenue, 0), 4) * 10000) AS gross
    FROM conversions
    WHERE is_conversion AND (project_id, conversion_id) IN
          (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID})
) AS c
INNER JOIN
(
    SELECT project_id, conversion_id, cause FROM run_conversions WHERE run_id = {scope_id:UUID}
) AS r ON r.project_id = c.project_id AND r.conversion_id = c.conversion_id
LEFT JOIN (SELECT project_id, lookback_days FROM projects FINAL) AS p ON p.project_id = c.project_id
LEFT JOIN
(
    SELECT project_id, conversion_id,
           arraySort(groupArray((refunded_at, client_refund_id, refund_id, toInt128(toDecimal128(amount, 4) * 10000)))) AS given
    FROM run_refunds
    WHERE run_id = {scope_id:UUID}
    GROUP BY project_id, conversion_id
) AS f ON f.project_id = c.project_id AND f.conversion_id = c.conversion_id
