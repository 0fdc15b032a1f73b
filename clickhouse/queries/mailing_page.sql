-- Question  : which conversions are on a page of a project's list, and how many are on all pages together?
-- Parameters: project_id String; kind, contact_id, campaign_id String (empty: any); skip UInt64, page UInt64
-- Returns   : total, ids (newest first); one row. Both come from one read, so they agree whatever is written meanwhile
-- Campaign  : the one that the conversion is claimed for; where it is claimed for none, nor for a flow, the one that is
--             credited most under its own model, as in mailing_conversions.sql
WITH
    touched AS
    (
        SELECT k.conversion_id AS conversion_id, toString(k.model) AS model, k.touch_id AS touch_id,
               k.touched_at AS touched_at, k.email_campaign_id AS email_campaign_id, k.flow_id AS flow_id,
               sum(k.share) AS share
        FROM credits AS k
        WHERE {campaign_id:String} != '' AND k.project_id = {project_id:String} AND k.scope = 'email'
          AND k.run_id IN (SELECT run_id FROM live_runs)
        GROUP BY conversion_id, model, touch_id, touched_at, email_campaign_id, flow_id
        HAVING share > 0
    ),
    credited AS
    (
        SELECT m.conversion_id AS conversion_id, m.model AS model,
               argMax(m.mailing.1, (round(m.share, 6), m.last_at, m.mailing)) AS campaign_id
        FROM
        (
            SELECT t.conversion_id AS conversion_id, t.model AS model, (t.email_campaign_id, t.flow_id) AS mailing,
                   sum(t.share) AS share, max(t.touched_at) AS last_at
            FROM touched AS t
            GROUP BY conversion_id, model, mailing
        ) AS m
        GROUP BY conversion_id, model
    )
SELECT
    toInt64(count()) AS total,
    arrayMap(
        place -> toString(place.2),
        arraySlice(
            arraySort(groupArray((-toUnixTimestamp64Milli(c.converted_at), c.conversion_id))),
            {skip:UInt64} + 1, {page:UInt64})) AS ids
FROM conversions AS c
LEFT JOIN credited AS k
    ON k.conversion_id = c.conversion_id AND k.model = if(c.attribution_model = '', 'last_touch', c.attribution_model)
WHERE c.project_id = {project_id:String}
  AND c.is_conversion
  AND ({kind:String} = '' OR c.kind = {kind:String})
  AND ({contact_id:String} = '' OR c.contact_id = {contact_id:String})
  AND ({campaign_id:String} = ''
       OR if(c.campaign_id = '' AND c.flow_id = '', k.campaign_id, c.campaign_id) = {campaign_id:String})
