-- Question  : what was stored of an event, and where did its session come from?
-- Parameters: project_id String, event_ids Array(UUID) (what the id may stand for; the most trusted that exists is meant)
-- Returns   : the event, its position, its session, the ids its bookings go by, and what a refund asks for; no row if it is not stored
WITH chosen AS
(
    SELECT *
    FROM events
    WHERE project_id = {project_id:String} AND event_id IN {event_ids:Array(UUID)}
    ORDER BY trust, received_at, version DESC
    LIMIT 1
)
SELECT
    toString(e.event_id) AS event_id,
    toString(e.event_type) AS event_type,
    toString(e.event_name) AS event_name,
    toUnixTimestamp64Milli(e.occurred_at) AS occurred_ms,
    toUnixTimestamp64Milli(e.received_at) AS received_ms,
    arrayMap(m -> toString(m), e.marks) AS marks,
    toInt64(e.kafka_partition) AS kafka_partition,
    toInt64(e.kafka_offset) AS kafka_offset,
    toInt64(e.kafka_index) AS kafka_index,
    e.session_id AS session_id,
    toUnixTimestamp64Milli(s.started) AS started_ms,
    if(s.first.source = '', '(direct)', s.first.source) AS source,
    if(s.first.source = '', '(none)', s.first.medium) AS medium,
    s.first.campaign AS campaign,
    if(s.first.source = '', 'Direct', s.first.channel) AS channel,
    toBool(e.conversion_id != toUUID('00000000-0000-0000-0000-000000000000')) AS routed,
    toString(e.conversion_id) AS conversion_id,
    e.refund_id AS refund_id,
    e.order_id AS order_id,
    -e.revenue AS asked,
    toString(e.currency) AS currency
FROM chosen AS e
LEFT JOIN
(
    SELECT session_id, min(started_at) AS started, min(entry) AS first
    FROM sessions
    WHERE project_id = {project_id:String} AND session_id IN (SELECT session_id FROM chosen)
    GROUP BY session_id
) AS s ON s.session_id = e.session_id
