-- Question  : what did each value earn by a run of a data-driven model?
-- Parameters: project_id String, run_id UUID
-- Returns   : value, weight, conversions, revenue (net) and refunded by currency; most first
SELECT s.value AS value, s.weight AS weight, s.conversions AS conversions,
       CAST(s.revenue AS Map(String, Decimal(38, 4))) AS revenue,
       CAST(s.refunded AS Map(String, Decimal(38, 4))) AS refunded
FROM model_shares AS s FINAL
WHERE s.project_id = {project_id:String} AND s.run_id = {run_id:UUID}
ORDER BY weight DESC, value
