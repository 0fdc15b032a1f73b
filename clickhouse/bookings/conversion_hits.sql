-- Question  : which hits may the conversions of a run be?
-- Parameters: scope_id UUID (of run_conversions and run_refunds)
-- Returns   : common table expressions. reports: what a conversion is called by its reports; conversion_hits: these, with the merged
--             conversion. A part of goals.sql
-- Refunds   : are no hits. What they take back of a conversion's money is kept beside it
refunded_conversions AS
(
    SELECT project_id, conversion_id, toDecimal64(sum(toDecimal128(f.amount, 4)), 4) AS returned
    FROM run_refunds AS f
    WHERE f.run_id = {scope_id:UUID}
    GROUP BY project_id, conversion_id
),
reports AS
(
    SELECT DISTINCT project_id, conversion_id, toString(event_type) AS type, toString(event_name) AS name, path
    FROM conversion_arrivals
    WHERE (project_id, conversion_id) IN
          (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID})
),
conversion_hits AS
(
    SELECT
        c.project_id AS project_id, c.conversion_id AS hit_id, a.type AS type, a.name AS name, a.path AS path,
        c.converted_at AS occurred_at,
        if(c.user_id != '', concat('u:', c.user_id), c.visitor) AS person,
        if(isNull(c.revenue), '', toString(c.currency)) AS currency, ifNull(c.revenue, toDecimal64(0, 4)) AS amount,
        r.returned AS refunded, (c.received_at, toUInt16(0), toUInt64(0), toUInt16(0)) AS rank
    FROM reports AS a
    INNER JOIN
    (
        SELECT * FROM conversions
        WHERE (project_id, conversion_id) IN
              (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID})
    ) AS c ON c.project_id = a.project_id AND c.conversion_id = a.conversion_id
    LEFT JOIN refunded_conversions AS r
        ON r.project_id = c.project_id AND r.conversion_id = c.conversion_id
)
