-- Question  : what is known of one conversion, from all its arrivals?
-- Parameters: project_id String, conversion_id UUID
-- Returns   : the merged conversion; no row while no arrival of it is stored
SELECT
    toString(conversion_id) AS conversion_id,
    toBool(is_conversion) AS counts,
    toString(kind) AS kind,
    order_id,
    toUnixTimestamp64Milli(converted_at) AS converted_ms,
    revenue,
    toString(currency) AS currency,
    ['secret', 'token', 'public'][trust + 1] AS trust,
    toInt64(arrivals) AS arrivals
FROM conversions
WHERE project_id = {project_id:String} AND conversions.conversion_id = {conversion_id:UUID}
