-- Question  : which hits may the conversions of a run over little be?
-- Parameters: hits Array(Tuple(..)): what the booker has merged; amounts as text, times in milliseconds
-- Returns   : common table expressions, as conversion_hits.sql does: the other part of goals.sql
reports AS
(
    SELECT DISTINCT h.1 AS project_id, h.3 AS type, h.4 AS name, h.5 AS path
    FROM
    (
        SELECT arrayJoin({hits:Array(Tuple(String, UUID, String, String, String, Int64, String, String, String, String, Int64))}) AS h
    )
),
conversion_hits AS
(
    SELECT
        h.1 AS project_id, h.2 AS hit_id, h.3 AS type, h.4 AS name, h.5 AS path,
        fromUnixTimestamp64Milli(h.6, 'UTC') AS occurred_at, h.7 AS person, h.8 AS currency, toDecimal64(h.9, 4) AS amount,
        toDecimal64(h.10, 4) AS refunded,
        (fromUnixTimestamp64Milli(h.11, 'UTC'), toUInt16(0), toUInt64(0), toUInt16(0)) AS rank
    FROM
    (
        SELECT arrayJoin({hits:Array(Tuple(String, UUID, String, String, String, Int64, String, String, String, String, Int64))}) AS h
    )
)
