-- Question  : which conversions does a new refund concern?
-- Parameters: none. Deltas of both stages.
-- Returns   : project_id, key: the conversion's id. A refund by order may pass from one conversion to another when one of them
--             has a new arrival. A part of refunded_conversions.sql
WITH
    new_refunds AS
    (
        SELECT e.project_id AS project_id, e.refund_of AS conversion_id, e.order_id AS order_id
        FROM events AS e
        WHERE (e.project_id, e.hour, e.event_id) IN
              (SELECT project_id, hour, event_id FROM event_log WHERE event_type = 'refund' AND (/* events_delta */))
    ),
    refunded_orders AS
    (
        SELECT project_id, 'order' AS kind, order_id AS key FROM new_refunds WHERE order_id != ''
        UNION DISTINCT
        SELECT r.project_id, 'order', r.key
        FROM refunds AS r
        WHERE (r.project_id, r.kind, r.key) IN
        (
            SELECT project_id, arrayJoin(['order', 'conversion']), order_id
            FROM conversion_arrivals
            WHERE order_id != '' AND (/* arrivals_delta */)
        )
    )
SELECT project_id, toString(conversion_id) AS key
FROM new_refunds
WHERE conversion_id != toUUID('00000000-0000-0000-0000-000000000000')
UNION ALL
SELECT project_id, carrier
FROM person_keys
WHERE carrier_kind = 'conversion' AND (project_id, kind, key) IN (SELECT project_id, kind, key FROM refunded_orders)
