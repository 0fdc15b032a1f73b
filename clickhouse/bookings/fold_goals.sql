-- Question  : what do the goal entries of old runs add up to?
-- Parameters: run_id UUID, run_number UInt64, level UInt8, covers_from UInt64, covers_to UInt64
-- Books     : goal_bookings: the sums, under the folding run; entries that cancel out are gone from it
INSERT INTO goal_bookings
    (run_id, run_number, project_id, goal_id, definition, hit_id, cell, occurred_at, person, currency, conversions, revenue,
     refunded)
SELECT
    {run_id:UUID}, {run_number:UInt64}, project_id, goal_id, definition, hit_id, cell, occurred_at, person, currency,
    toInt32(sum(b.conversions)) AS booked_conversions, toDecimal64(sum(b.revenue), 4) AS booked_revenue,
    toDecimal64(sum(b.refunded), 4) AS booked_refunded
FROM goal_bookings AS b
WHERE run_number BETWEEN {covers_from:UInt64} AND {covers_to:UInt64}
  AND run_id IN (SELECT run_id FROM live_runs WHERE level = {level:UInt8} AND number <= {covers_to:UInt64})
GROUP BY project_id, goal_id, definition, hit_id, cell, occurred_at, person, currency
HAVING booked_conversions != 0 OR booked_revenue != 0 OR booked_refunded != 0
