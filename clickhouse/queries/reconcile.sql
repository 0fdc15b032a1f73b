-- Question  : which of the payment provider's orders do we have, with the same money, and which of ours has it not?
-- Parameters: project_id String; from_ms, to_ms Int64 (Unix ms, both inclusive: our orders of this time that the provider
--             lacks are extra); kinds Array(String) (our conversions of these kinds only; empty: any); page UInt64
-- Tables    : provider_orders, sent with the question: line, order_id (each once), amount, currency, provider_ms
-- Returns   : a row for each outcome: how many orders, their money by currency on both sides, and the first page of them
--             by order (none of the matched). unnamed: our money of the time that names no order
-- Merges    : one order may be several conversions, of different kinds: it is one here, and the one with the provider's
--             money is meant, else the most trusted, then the first. An event that only names an order is no conversion
--             of it, but has a receipt
WITH
    fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') AS since,
    fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC') AS until,
    ours AS
    (
        SELECT
            if(c.order_id = '', toString(c.conversion_id), '') AS unnamed,
            c.order_id AS order_id,
            argMin(
                (c.is_conversion, c.revenue, toString(c.currency), toUnixTimestamp64Milli(c.converted_at),
                 toString(c.kind), toString(c.conversion_id), toString(c.event_id)),
                (NOT c.is_conversion, isNull(c.revenue) OR c.revenue != p.amount OR c.currency != p.currency,
                 c.trust, c.received_at, c.conversion_id)) AS best
        FROM
        (
            SELECT * FROM conversions
            WHERE project_id = {project_id:String}
              AND (empty({kinds:Array(String)}) OR kind IN {kinds:Array(String)})
        ) AS c
        LEFT JOIN provider_orders AS p ON p.order_id = c.order_id
        WHERE p.order_id != ''
           OR (c.is_conversion AND c.converted_at >= since AND c.converted_at <= until
               AND (c.order_id != '' OR isNotNull(c.revenue)))
        GROUP BY unnamed, order_id
    ),
    namings AS
    (
        SELECT a.order_id AS order_id, argMin(toString(a.event_id), (a.received_at, a.event_id)) AS event_id
        FROM conversion_arrivals AS a
        WHERE a.project_id = {project_id:String} AND NOT a.is_conversion
          AND a.order_id IN (SELECT order_id FROM provider_orders)
        GROUP BY a.order_id
    )
SELECT
    outcome,
    toInt64(count()) AS orders,
    sumMap(if(listed, map(currency, amount), CAST(map(), 'Map(String, Decimal(38, 4))'))) AS provider,
    sumMap(if(had, map(our_currency, toDecimal128(ifNull(revenue, 0), 4)), CAST(map(), 'Map(String, Decimal(38, 4))')))
        AS ours,
    arraySlice(arraySort(groupArrayIf(
        (order_id, line, if(listed, amount, NULL), currency, provider_ms,
         if(had, revenue, NULL), our_currency, our_ms, kind, conversion_id, event_id),
        outcome NOT IN ('matched', 'unnamed'))), 1, {page:UInt64}) AS lines
FROM
(
    SELECT
        if(p.order_id != '', p.order_id, o.order_id) AS order_id,
        p.order_id != '' AS listed,
        toInt64(p.line) AS line,
        toDecimal128(p.amount, 4) AS amount,
        p.currency AS currency,
        p.provider_ms AS provider_ms,
        o.best.1 AS had,
        if(had, o.best.2, NULL) AS revenue,
        if(had, o.best.3, '') AS our_currency,
        if(had, o.best.4, 0) AS our_ms,
        if(had, o.best.5, '') AS kind,
        if(had, o.best.6, '') AS conversion_id,
        if(had, o.best.7, n.event_id) AS event_id,
        multiIf(
            o.unnamed != '', 'unnamed',
            NOT listed, 'extra',
            NOT had, 'missing',
            isNull(revenue) OR revenue != amount OR our_currency != currency, 'amount_differs',
            'matched') AS outcome
    FROM provider_orders AS p
    FULL OUTER JOIN ours AS o ON o.order_id = p.order_id
    LEFT JOIN namings AS n ON n.order_id = p.order_id
)
GROUP BY outcome
