-- Question  : what of their money was refunded, of the conversions of a run over little?
-- Parameters: scope_id UUID (of run_refunds)
-- Returns   : conversion, refund, time in milliseconds, amount; in the order in which they take from the sale
SELECT toString(project_id), toString(conversion_id), toString(refund_id), toUnixTimestamp64Milli(refunded_at), amount
FROM run_refunds
WHERE run_id = {scope_id:UUID}
ORDER BY project_id, conversion_id, refunded_at, client_refund_id, refund_id
