-- Question  : what was told in this delivery?
-- Parameters: project_id String; delivery_id UUID
-- Returns   : no row or one: destination, event and the announcement (empty once it is forgotten)
SELECT
    d.destination_id AS destination_id,
    toString(d.event) AS event,
    d.notice AS notice
FROM deliveries AS d FINAL
WHERE d.project_id = {project_id:String} AND d.delivery_id = {delivery_id:UUID}
ORDER BY d.attempted_at DESC, d.attempt_id DESC
LIMIT 1
