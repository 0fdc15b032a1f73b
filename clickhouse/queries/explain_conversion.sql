-- Question  : what is known of a conversion, before it is attributed?
-- Parameters: project_id String, conversion_id UUID
-- Returns   : one row, or none: kind, order_id, converted_ms, received_ms, revenue,
--             currency, reports (how many)
SELECT
    toString(c.kind) AS kind, c.order_id AS order_id, toUnixTimestamp64Milli(c.converted_at) AS converted_ms,
    toUnixTimestamp64Milli(c.received_at) AS received_ms, c.revenue AS revenue, toString(c.currency) AS currency,
    toInt64(c.arrivals) AS reports
FROM conversions AS c
WHERE c.project_id = {project_id:String} AND c.conversion_id = {conversion_id:UUID} AND c.is_conversion
