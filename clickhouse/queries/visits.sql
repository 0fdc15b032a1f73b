-- Question  : how many visitors and sessions were there, by source of the session and when? The denominators of rates
-- Parameters: project_id String, by_source Bool (else all sources together), from_ms Int64, to_ms Int64 (Unix ms; from
--             inclusive, to exclusive), interval String (hour, day, week, month; empty: one bucket), time_zone String;
--             source, medium, campaign, channel String (empty: any)
-- Returns   : total Bool, source, medium, campaign, channel, bucket, visitors, sessions. The total row has no source
WITH
    seen AS
    (
        SELECT DISTINCT
            session_id, visitor,
            multiIf(
                {interval:String} = 'hour', toString(toUnixTimestamp64Milli(cell) - toMinute(cell, {time_zone:String}) * 60000),
                {interval:String} = 'day', toString(toDate32(cell, {time_zone:String})),
                {interval:String} = 'week', toString(toMonday(toDate32(cell, {time_zone:String}))),
                {interval:String} = 'month', toString(toStartOfMonth(toDate32(cell, {time_zone:String}))),
                '') AS bucket
        FROM
        (
            SELECT session_id, visitor, toUnixTimestamp64Milli(occurred_at) AS ms,
                   fromUnixTimestamp64Milli(ms - positiveModulo(ms, 900000), 'UTC') AS cell
            FROM events
            WHERE project_id = {project_id:String} AND link_id = 0  -- a redirect is no visit: the page it leads to is
              AND touch != 'email'  -- nor is reading e-mail
              AND hour >= intDiv({from_ms:Int64}, 3600000) AND hour <= intDiv({to_ms:Int64}, 3600000)
              AND occurred_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
              AND occurred_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
        )
    ),
    sourced AS
    (
        SELECT
            session_id,
            if(first.source = '', '(direct)', first.source) AS source,
            if(first.source = '', '(none)', first.medium) AS medium,
            first.campaign AS campaign,
            if(first.source = '', 'Direct', first.channel) AS channel
        FROM
        (
            SELECT session_id, min(entry) AS first
            FROM sessions
            WHERE project_id = {project_id:String} AND session_id IN (SELECT session_id FROM seen)
            GROUP BY session_id
        )
    )
SELECT
    toBool(grouping(source)) AS total,
    source, medium, campaign, channel, bucket,
    toInt64(uniqExact(visitor)) AS visitors,
    toInt64(uniqExact(session_id)) AS sessions
FROM
(
    SELECT
        if({by_source:Bool}, s.source, '') AS source,
        if({by_source:Bool}, s.medium, '') AS medium,
        if({by_source:Bool}, s.campaign, '') AS campaign,
        if({by_source:Bool}, s.channel, '') AS channel,
        e.bucket AS bucket, e.visitor AS visitor, e.session_id AS session_id
    FROM seen AS e
    INNER JOIN sourced AS s ON s.session_id = e.session_id
    WHERE ({source:String} = '' OR s.source = {source:String})
      AND ({medium:String} = '' OR s.medium = {medium:String})
      AND ({campaign:String} = '' OR s.campaign = {campaign:String})
      AND ({channel:String} = '' OR s.channel = {channel:String})
)
GROUP BY GROUPING SETS ((source, medium, campaign, channel, bucket), ())
SETTINGS enable_extended_results_for_datetime_functions = 1
