-- Question  : what is known of these conversions, from all their arrivals?
-- Parameters: project_id String, ids Array(String)
-- Returns   : one row a conversion, in the order of ids; sealed_email: the first address reported for its contact, as sealed
SELECT
    toString(c.conversion_id) AS id,
    toString(c.kind) AS type,
    c.order_id AS order_id,
    c.revenue AS revenue,
    toString(if(isNull(c.revenue), c.named_currency, c.currency)) AS currency,
    c.contact_id AS contact_id,
    ifNull(e.sealed_email, '') AS sealed_email,
    c.campaign_id AS campaign_id,
    c.flow_id AS flow_id,
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
    SELECT a.contact_id AS contact_id, argMin(a.sealed_email, (a.received_at, a.event_id)) AS sealed_email
    FROM conversion_arrivals AS a
    WHERE a.project_id = {project_id:String} AND a.sealed_email != ''
      AND a.contact_id IN
          (SELECT contact_id FROM conversion_arrivals
           WHERE project_id = {project_id:String}
             AND conversion_id IN (SELECT toUUID(arrayJoin({ids:Array(String)}))))
    GROUP BY a.contact_id
) AS e ON e.contact_id = c.contact_id
ORDER BY indexOf({ids:Array(String)}, toString(c.conversion_id))
