-- Question  : which goal hits are new, changed or wrong?
-- Parameters: run_id UUID, run_number UInt64, scope_id UUID (of run_conversions), set_id UUID; complete Bool (goals that
--             have counted all history, or those that have not); everything Bool (compare with all that is booked, not with
--             the touched cells only); those of conversion_hits.sql or few_hits.sql
-- Books     : goal_bookings. A hit is the conversion where the event is one or names an order, else the event: browser and
--             server reports of one order are one hit, with the money of the merged conversion
-- Cost      : goals are matched against distinct (type, name, path) signatures, not against events
INSERT INTO goal_bookings
    (run_id, run_number, project_id, goal_id, definition, hit_id, cell, occurred_at, person, currency, conversions, revenue,
     refunded)
WITH
    goals_of_run AS
    (
        SELECT project_id, goal_id, definition, type, match_type, match_value
        FROM goal_sets
        WHERE set_id = {set_id:UUID} AND complete = {complete:Bool}
    ),
    event_hits AS
    (
        SELECT
            project_id, event_id AS hit_id, toString(event_type) AS type, toString(event_name) AS name, path,
            occurred_at, if(user_id != '', concat('u:', user_id), visitor) AS person,
            if(isNull(revenue), '', toString(currency)) AS currency, ifNull(revenue, toDecimal64(0, 4)) AS amount,
            toDecimal64(0, 4) AS refunded, (received_at, kafka_partition, kafka_offset, kafka_index) AS rank
        FROM /* event_hits */
    ),
    /* conversion hits */,
    matched AS
    (
        SELECT s.project_id AS project_id, s.type AS type, s.name AS name, s.path AS path, g.goal_id AS goal_id,
               g.definition AS definition,
               multiIf(
                   g.type = 'pageview', if(s.type = 'pageview', s.path, NULL),
                   g.type = 'event', if(s.type = 'event', s.name, NULL),
                   g.type = 'custom', if(s.type IN ('custom', 'conversion'), s.name, NULL),
                   g.type = 'event_name', s.name,
                   g.type = 'event_type', s.type,
                   g.type = 'conversion', if(s.type = 'conversion', g.match_value, NULL),
                   NULL) AS subject
        FROM
        (
            SELECT DISTINCT project_id, type, name, path FROM event_hits
            UNION DISTINCT
            SELECT DISTINCT project_id, type, name, path FROM reports
        ) AS s
        INNER JOIN goals_of_run AS g ON g.project_id = s.project_id
        WHERE isNotNull(subject) AND multiIf(
            g.type = 'conversion' OR g.match_type = 'exact', assumeNotNull(subject) = g.match_value,
            g.match_type = 'contains', position(assumeNotNull(subject), g.match_value) > 0,
            match(assumeNotNull(subject), if(g.match_type = 'regex', g.match_value, '')))
    ),
    target AS
    (
        SELECT m.project_id AS project_id, m.goal_id AS goal_id, m.definition AS definition, h.hit_id AS hit_id,
               argMin((h.occurred_at, h.person, h.currency, h.amount, h.refunded), h.rank) AS hit
        FROM (SELECT * FROM event_hits UNION ALL SELECT * FROM conversion_hits) AS h
        INNER JOIN matched AS m
            ON m.project_id = h.project_id AND m.type = h.type AND m.name = h.name AND m.path = h.path
        GROUP BY project_id, goal_id, definition, hit_id
    )
SELECT
    {run_id:UUID}, {run_number:UInt64}, project_id, goal_id, definition, hit_id,
    fromUnixTimestamp64Milli(toUnixTimestamp64Milli(at) - positiveModulo(toUnixTimestamp64Milli(at), 900000), 'UTC'),
    at, person, currency, toInt32(sum(n)) AS booked_conversions, toDecimal64(sum(amount), 4) AS booked_revenue,
    toDecimal64(sum(returned), 4) AS booked_refunded
FROM
(
    SELECT toString(project_id) AS project_id, goal_id, definition, hit_id, hit.1 AS at, hit.2 AS person,
           hit.3 AS currency, toInt64(1) AS n, toDecimal128(hit.4, 4) AS amount,
           toDecimal128(hit.5, 4) AS returned
    FROM target
    UNION ALL
    SELECT toString(project_id), goal_id, definition, hit_id, occurred_at, person, toString(currency),
           -toInt64(goal_bookings.conversions), -toDecimal128(goal_bookings.revenue, 4),
           -toDecimal128(goal_bookings.refunded, 4)
    FROM goal_bookings
    WHERE run_id IN (/* live */)
      AND (project_id, goal_id, definition) IN (SELECT project_id, goal_id, definition FROM goals_of_run)
      AND ({everything:Bool} OR (
          cell IN
          (
              SELECT fromUnixTimestamp64Milli(ms - positiveModulo(ms, 900000), 'UTC')
              FROM
              (
                  SELECT DISTINCT toUnixTimestamp64Milli(occurred_at) AS ms FROM /* event_hits */
                  UNION DISTINCT
                  SELECT DISTINCT toUnixTimestamp64Milli(converted_at) AS ms
                  FROM conversion_arrivals
                  WHERE (project_id, conversion_id) IN
                        (SELECT project_id, conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID})
              )
          )
          AND hit_id IN
          (
              SELECT event_id FROM /* event_hits */
              UNION DISTINCT
              SELECT conversion_id FROM run_conversions WHERE run_id = {scope_id:UUID}
          )))
)
GROUP BY project_id, goal_id, definition, hit_id, at, person, currency
HAVING sum(n) != 0 OR sum(amount) != 0 OR sum(returned) != 0
