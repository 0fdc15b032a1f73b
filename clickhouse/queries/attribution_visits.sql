-- Question  : how many visitors and sessions came by each value? The denominators of rates
-- Parameters: project_id String, dimension String (source, medium, campaign, channel), from_ms Int64, to_ms Int64 (Unix ms;
--             from inclusive, to exclusive)
-- Returns   : total Bool, value (of the session), visitors, sessions with an event in the span. The total row has no value
WITH
    seen AS
    (
        SELECT DISTINCT session_id, visitor
        FROM events
        WHERE project_id = {project_id:String} AND link_id = 0  -- a redirect is no visit: the page it leads to is
          AND touch != 'email'  -- nor is reading e-mail
          AND hour >= intDiv({from_ms:Int64}, 3600000) AND hour <= intDiv({to_ms:Int64}, 3600000)
          AND occurred_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
          AND occurred_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
    ),
    sourced AS
    (
        SELECT
            session_id,
            multiIf(
                {dimension:String} = 'source', if(first.source = '', '(direct)', first.source),
                {dimension:String} = 'medium', if(first.source = '', '(none)', first.medium),
                {dimension:String} = 'campaign', first.campaign,
                if(first.source = '', 'Direct', first.channel)) AS value
        FROM
        (
            SELECT session_id, min(entry) AS first
            FROM sessions
            WHERE project_id = {project_id:String} AND session_id IN (SELECT session_id FROM seen)
            GROUP BY session_id
        )
    )
SELECT
    toBool(grouping(value)) AS total,
    value,
    toInt64(uniqExact(visitor)) AS visitors,
    toInt64(uniqExact(session_id)) AS sessions
FROM
(
    SELECT s.value AS value, e.visitor AS visitor, e.session_id AS session_id
    FROM seen AS e
    INNER JOIN sourced AS s ON s.session_id = e.session_id
)
GROUP BY GROUPING SETS ((value), ())
