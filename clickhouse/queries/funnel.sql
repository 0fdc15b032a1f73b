-- Question  : how many persons went how far along ordered steps, by the source of the visit they began with?
-- Parameters: project_id String; from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive: when the first step was
--             taken), window_ms UInt64 (the others follow within it, also after to_ms); types, match_types, match_values
--             Array(String) (one entry a step, at most ten); source, medium, campaign, channel String (empty: any)
-- Returns   : total Bool, source, medium, campaign, channel, reached (persons who got to each step). The total row has no
--             source. Nobody is in two rows
-- Person    : the event's user, else the one user its visitor was seen as in the span, else the visitor
-- Source    : of the session of the earliest first step in the span
-- Order     : each step is later than the one before, to the millisecond. windowFunnel takes ties in the order of the steps,
--             so in its clock, which ticks sixteen times a millisecond, later steps of one millisecond come first
WITH
    seen AS
    (
        SELECT toString(event_type) AS type, toString(event_name) AS name, path,
               toUnixTimestamp64Milli(occurred_at) AS ms, user_id, visitor, session_id
        FROM events
        WHERE project_id = {project_id:String} AND event_type != 'refund'
          AND hour >= intDiv({from_ms:Int64}, 3600000)
          AND hour <= intDiv({to_ms:Int64} + {window_ms:UInt64}, 3600000)
          AND occurred_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
          AND ms < {to_ms:Int64} + {window_ms:UInt64} -- which may be later than a DateTime64 can be
        UNION ALL
        -- Conversions need no event of their own. Those that have one are the same step twice, which counts once.
        SELECT toString(event_type) AS type, toString(event_name) AS name, path,
               toUnixTimestamp64Milli(converted_at) AS ms, user_id, visitor, session_id
        FROM conversion_arrivals
        WHERE project_id = {project_id:String}
          AND converted_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
          AND ms < {to_ms:Int64} + {window_ms:UInt64}
    ),
    known AS
    (
        SELECT visitor, min(user_id) AS user
        FROM seen
        WHERE user_id != ''
        GROUP BY visitor
        HAVING min(user_id) = max(user_id)
    ),
    matched AS
    (
        -- As the booker matches goals (bookings/goals.sql): distinct signatures, not events.
        SELECT s.type AS type, s.name AS name, s.path AS path, g.number AS step,
               multiIf(
                   g.type = 'pageview', if(s.type = 'pageview', s.path, NULL),
                   g.type = 'event', if(s.type = 'event', s.name, NULL),
                   g.type = 'custom', if(s.type IN ('custom', 'conversion'), s.name, NULL),
                   g.type = 'event_name', s.name,
                   g.type = 'event_type', s.type,
                   g.type = 'conversion', if(s.type = 'conversion', g.match_value, NULL),
                   NULL) AS subject
        FROM (SELECT DISTINCT type, name, path FROM seen) AS s
        CROSS JOIN
        (
            SELECT step.1 AS number, step.2 AS type, step.3 AS match_type, step.4 AS match_value
            FROM
            (
                SELECT arrayJoin(arrayZip(
                    arrayEnumerate({types:Array(String)}), {types:Array(String)}, {match_types:Array(String)},
                    {match_values:Array(String)})) AS step
            )
        ) AS g
        WHERE isNotNull(subject) AND multiIf(
            g.type = 'conversion' OR g.match_type = 'exact', assumeNotNull(subject) = g.match_value,
            g.match_type = 'contains', position(assumeNotNull(subject), g.match_value) > 0,
            match(assumeNotNull(subject), if(g.match_type = 'regex', g.match_value, '')))
    ),
    persons AS
    (
        SELECT
            windowFunnel({window_ms:UInt64} * 16)(
                toUInt64((ms - {from_ms:Int64}) * 16 + 15 - step),
                step = 1, step = 2, step = 3, step = 4, step = 5, step = 6, step = 7, step = 8, step = 9, step = 10)
                AS level,
            argMinIf(session, (ms, session), step = 1) AS entry
        FROM
        (
            SELECT
                multiIf(e.user_id != '', concat('u:', e.user_id), k.user != '', concat('u:', k.user), e.visitor) AS person,
                e.ms AS ms, e.session_id AS session, m.step AS step
            FROM seen AS e
            INNER JOIN matched AS m ON m.type = e.type AND m.name = e.name AND m.path = e.path
            LEFT JOIN known AS k ON k.visitor = e.visitor
            WHERE m.step > 1 OR e.ms < {to_ms:Int64}
        )
        GROUP BY person
        HAVING level > 0
    ),
    sourced AS
    (
        SELECT session_id, min(entry) AS first
        FROM sessions
        WHERE project_id = {project_id:String} AND session_id IN (SELECT session_id FROM seen)
        GROUP BY session_id
    )
SELECT
    toBool(grouping(source)) AS total,
    source, medium, campaign, channel,
    sumForEach(arrayMap(step -> toInt64(level >= step), arrayEnumerate({types:Array(String)}))) AS reached
FROM
(
    SELECT
        p.level AS level,
        if(s.first.source = '', '(direct)', s.first.source) AS source,
        if(s.first.source = '', '(none)', s.first.medium) AS medium,
        s.first.campaign AS campaign,
        if(s.first.source = '', 'Direct', s.first.channel) AS channel
    FROM persons AS p
    LEFT JOIN sourced AS s ON s.session_id = p.entry
)
WHERE ({source:String} = '' OR source = {source:String})
  AND ({medium:String} = '' OR medium = {medium:String})
  AND ({campaign:String} = '' OR campaign = {campaign:String})
  AND ({channel:String} = '' OR channel = {channel:String})
GROUP BY GROUPING SETS ((source, medium, campaign, channel), ())
