-- Question  : what does a refund take back, and of which conversion?
-- Parameters: project_id String, event_id UUID (of the refund)
-- Returns   : conversion_id, currency, amount; no row if it does not apply: there is no such sale, or another event had
--             asked for the same refund, or in another currency than the sale's
SELECT
    toString(r.conversion_id) AS conversion_id,
    toString(r.currency) AS currency,
    r.amount AS amount
FROM applied_refunds(scope_id = '00000000-0000-0000-0000-000000000000', of_project = {project_id:String}) AS r
WHERE r.refund_id = {event_id:UUID}
