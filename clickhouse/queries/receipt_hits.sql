-- Question  : which goals count this hit now, and since which run?
-- Parameters: project_id String, hit_id UUID (the conversion, else the event)
-- Returns   : goal_id, conversions, revenue, currency (net of all corrections), run (the last that changed it)
SELECT
    toString(goal_id) AS goal_id,
    toString(currency) AS currency,
    sum(toInt64(goal_bookings.conversions)) AS conversions,
    sum(toDecimal128(goal_bookings.revenue, 4)) AS revenue,
    toInt64(max(run_number)) AS run
FROM goal_bookings
WHERE project_id = {project_id:String}
  AND hit_id = {hit_id:UUID}
  AND (project_id, goal_id, definition) IN (SELECT project_id, goal_id, definition FROM served_definitions)
  AND run_id IN (SELECT run_id FROM live_runs)
GROUP BY goal_id, currency
HAVING conversions != 0 OR revenue != 0
ORDER BY goal_id, currency
