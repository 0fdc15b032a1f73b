-- Question  : what of their money was refunded, of the conversions of a run?
-- Parameters: scope_id UUID (of run_conversions)
-- Books     : run_refunds (scratch): refunds as far as they apply; the rules are those of the view applied_refunds
INSERT INTO run_refunds
    (run_id, project_id, conversion_id, refund_id, client_refund_id, refunded_at, converted_at, currency, amount)
SELECT {scope_id:UUID}, a.project_id, a.conversion_id, a.refund_id, a.client_refund_id, a.refunded_at, a.converted_at,
       a.currency, a.amount
FROM applied_refunds(scope_id = {scope_id:UUID}, of_project = '') AS a
WHERE a.amount != 0
