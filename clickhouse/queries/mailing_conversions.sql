-- Question  : what is known of these conversions, from all their arrivals?
-- Parameters: project_id String, ids Array(String)
-- Returns   : one row a conversion, in the order of ids; sealed_email: the first address reported for its contact by whom is
--             trusted most, as sealed
-- Campaign  : and flow: those that the conversion is claimed for; without any, those of the interactions that have the largest
--             share together, under the conversion's own model, of equal ones the latest. Cumulative rounding makes equal
--             shares differ by 1e-9
SELECT
    toString(c.conversion_id) AS id,
    toString(c.kind) AS type,
    c.order_id AS order_id,
    c.revenue AS revenue,
    toString(if(isNull(c.revenue), c.named_currency, c.currency)) AS currency,
    c.contact_id AS contact_id,
    ifNull(e.sealed_email, '') AS sealed_email,
    if(c.campaign_id = '' AND c.flow_id = '', k.credited.1, c.campaign_id) AS campaign_id,
    if(c.campaign_id = '' AND c.flow_id = '', k.credited.2, c.flow_id) AS flow_id,
    toString(c.attribution_model) AS attribution_model,
    toInt64(c.attribution_window_days) AS attribution_window_days,
    c.properties AS metadata,
    toUnixTimestamp64Milli(c.converted_at) AS converted_ms,
    toUnixTimestamp64Milli(c.received_at) AS received_ms
FROM
(
    SELECT * FROM conversions
    WHERE project_id = {project_id:String} AND conversion_id IN (SELECT toUUID(arrayJoin({ids:Array(String)})))
) AS c
LEFT JOIN
(
    SELECT a.contact_id AS contact_id, argMin(a.sealed_email, (a.trust, a.received_at, a.event_id)) AS sealed_email
    FROM conversion_arrivals AS a
    WHERE a.project_id = {project_id:String} AND a.sealed_email != ''
      AND a.contact_id IN
          (SELECT contact_id FROM conversion_arrivals
           WHERE project_id = {project_id:String}
             AND conversion_id IN (SELECT toUUID(arrayJoin({ids:Array(String)}))))
    GROUP BY a.contact_id
) AS e ON e.contact_id = c.contact_id
LEFT JOIN
(
    SELECT m.conversion_id AS conversion_id, m.model AS model,
           argMax(m.mailing, (round(m.share, 6), m.last_at, m.mailing)) AS credited
    FROM
    (
        SELECT t.conversion_id AS conversion_id, t.model AS model, (t.email_campaign_id, t.flow_id) AS mailing,
               sum(t.share) AS share, max(t.touched_at) AS last_at
        FROM
        (
            SELECT r.conversion_id AS conversion_id, toString(r.model) AS model, r.touch_id AS touch_id,
                   r.touched_at AS touched_at, r.email_campaign_id AS email_campaign_id, r.flow_id AS flow_id,
                   sum(r.share) AS share
            FROM credits AS r
            WHERE r.project_id = {project_id:String} AND r.scope = 'email'
              AND r.run_id IN (SELECT run_id FROM live_runs)
              AND r.conversion_id IN (SELECT toUUID(arrayJoin({ids:Array(String)})))
              AND r.cell IN
                  (SELECT fromUnixTimestamp64Milli(ms - positiveModulo(ms, 900000), 'UTC')
                   FROM (SELECT DISTINCT toUnixTimestamp64Milli(converted_at) AS ms FROM conversion_arrivals
                         WHERE project_id = {project_id:String}
                           AND conversion_id IN (SELECT toUUID(arrayJoin({ids:Array(String)})))))
            GROUP BY conversion_id, model, touch_id, touched_at, email_campaign_id, flow_id
            HAVING share > 0
        ) AS t
        GROUP BY conversion_id, model, mailing
    ) AS m
    GROUP BY conversion_id, model
) AS k ON k.conversion_id = c.conversion_id AND k.model = if(c.attribution_model = '', 'last_touch', c.attribution_model)
ORDER BY indexOf({ids:Array(String)}, toString(c.conversion_id))
