-- Question  : which hits may the conversions of a run over little be?
-- Parameters: hits Array(Tuple(..)): project_id, conversion_id, type, name, path, time, person, currency, amount, refunded, time of
--             receipt, as the booker has merged them; amounts as text, times in milliseconds
-- Returns   : common table expressions, as conversion_hits.sql does: the other part of goals.sql
merged AS
(
    SELECT arrayJoin(
        {hits:Array(Tuple(String, UUID, String, String, String, Int64, String, String, String, String, Int64))}) AS hit
),
reports AS
(
    SELECT DISTINCT hit.1 AS project_id, hit.3 AS type, hit.4 AS name, hit.5 AS path FROM merged
),
conversion_hits AS
(
    SELECT
        hit.1 AS project_id, hit.2 AS hit_id, hit.3 AS type, hit.4 AS name, hit.5 AS path,
        fromUnixTimestamp64Milli(hit.6, 'UTC') AS occurred_at, hit.7 AS person, hit.8 AS currency,
        toDecimal64(hit.9, 4) AS amount, toDecimal64(hit.10, 4) AS refunded,
        (fromUnixTimestamp64Milli(hit.11, 'UTC'), toUInt16(0), toUInt64(0), toUInt16(0)) AS rank
    FROM merged
)
