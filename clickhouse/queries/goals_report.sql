-- Question  : how often was each goal hit, by how many persons, for what money, and when?
-- Parameters: project_id String, goal_ids Array(UUID), from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive),
--             interval String (hour, day, week, month; empty: one bucket), time_zone String (of the buckets);
--             source, medium, campaign, channel String (empty: any), model String (whose credit they are compared with)
-- Returns   : total Bool, goal_id, bucket (local YYYY-MM-DD of its first day; an hour: Unix ms), conversions,
--             unique_converters, gross and refunded by currency (empty where the client named none). The total row has neither
--             goal nor bucket: a person who hit several goals is one of its converters
-- Filters   : a conversion's source is the one the model credits; another hit's is that of its session
WITH
    {source:String} != '' OR {medium:String} != '' OR {campaign:String} != '' OR {channel:String} != '' AS filtered,
    fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') AS since,
    fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC') AS until,
    credited_hits AS
    (
        SELECT conversion_id AS hit_id
        FROM credits
        WHERE filtered AND project_id = {project_id:String} AND scope = 'all' AND model = {model:String}
          AND cell >= since AND cell < until
          AND ({source:String} = '' OR source = {source:String})
          AND ({medium:String} = '' OR medium = {medium:String})
          AND ({campaign:String} = '' OR campaign = {campaign:String})
          AND ({channel:String} = '' OR channel = {channel:String})
          AND run_id IN (SELECT run_id FROM live_runs)
        GROUP BY conversion_id
        HAVING sum(share) > 0
    ),
    hit_sessions AS
    (
        SELECT event_id AS hit_id, session_id
        FROM events
        WHERE filtered AND project_id = {project_id:String} AND occurred_at >= since AND occurred_at < until
          AND hour >= intDiv({from_ms:Int64}, 3600000) AND hour <= intDiv({to_ms:Int64}, 3600000)
        UNION ALL
        SELECT conversion_id AS hit_id, session_id
        FROM conversions
        WHERE filtered AND project_id = {project_id:String} AND NOT is_conversion
    ),
    matching_sessions AS
    (
        SELECT session_id
        FROM
        (
            SELECT session_id, min(entry) AS first
            FROM sessions
            WHERE filtered AND project_id = {project_id:String} AND session_id IN (SELECT session_id FROM hit_sessions)
            GROUP BY session_id
        )
        WHERE ({source:String} = '' OR {source:String} = if(first.source = '', '(direct)', first.source))
          AND ({medium:String} = '' OR {medium:String} = if(first.source = '', '(none)', first.medium))
          AND ({campaign:String} = '' OR {campaign:String} = first.campaign)
          AND ({channel:String} = '' OR {channel:String} = if(first.source = '', 'Direct', first.channel))
    )
SELECT
    toBool(grouping(goal)) AS total,
    toString(goal) AS goal_id,
    bucket,
    toInt64(sum(net)) AS conversions,
    toInt64(uniqExactIf(person, net > 0)) AS unique_converters,
    sumMap(map(code, money)) AS gross,
    sumMap(map(code, returned)) AS refunded
FROM
(
    SELECT
        goal_id AS goal,
        multiIf(
            {interval:String} = 'hour', toString(toUnixTimestamp64Milli(cell) - toMinute(cell, {time_zone:String}) * 60000),
            {interval:String} = 'day', toString(toDate32(cell, {time_zone:String})),
            {interval:String} = 'week', toString(toMonday(toDate32(cell, {time_zone:String}))),
            {interval:String} = 'month', toString(toStartOfMonth(toDate32(cell, {time_zone:String}))),
            '') AS bucket,
        person,
        toString(currency) AS code,
        sum(toInt64(goal_bookings.conversions)) AS net,
        sum(toDecimal128(goal_bookings.revenue, 4)) AS money,
        sum(toDecimal128(goal_bookings.refunded, 4)) AS returned
    FROM goal_bookings
    WHERE project_id = {project_id:String}
      AND goal_id IN {goal_ids:Array(UUID)}
      AND cell >= since AND cell < until
      AND (project_id, goal_id, definition) IN (SELECT project_id, goal_id, definition FROM served_definitions)
      AND run_id IN (SELECT run_id FROM live_runs)
      AND (NOT filtered OR hit_id IN
      (
          SELECT hit_id FROM credited_hits
          UNION ALL
          SELECT hit_id FROM hit_sessions WHERE session_id IN (SELECT session_id FROM matching_sessions)
      ))
    GROUP BY goal, bucket, person, code
)
GROUP BY GROUPING SETS ((goal, bucket), ())
SETTINGS enable_extended_results_for_datetime_functions = 1
