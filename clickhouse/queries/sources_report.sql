-- Question  : which sources are credited for conversions and revenue, for how many persons, and when?
-- Parameters: project_id String, model String, from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive),
--             interval String (hour, day, week, month; empty: one bucket), time_zone String (of the buckets);
--             source, medium, campaign, channel String (empty: any)
-- Returns   : total Bool, source, medium, campaign, channel, bucket (local YYYY-MM-DD of its first day; an hour: Unix ms),
--             conversions (sum of shares), unique_converters, revenue by currency. The total row has no source
WITH
    credited AS
    (
        SELECT
            conversion_id, source, medium, campaign, channel, cell, toString(currency) AS code,
            sum(toDecimal128(credits.share, 9)) AS part,
            sum(toDecimal128(credits.amount, 4)) AS money
        FROM credits
        WHERE project_id = {project_id:String} AND scope = 'all' AND model = {model:String}
          AND cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
          AND cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
          AND ({source:String} = '' OR source = {source:String})
          AND ({medium:String} = '' OR medium = {medium:String})
          AND ({campaign:String} = '' OR campaign = {campaign:String})
          AND ({channel:String} = '' OR channel = {channel:String})
          AND run_id IN (SELECT run_id FROM live_runs)
        GROUP BY conversion_id, source, medium, campaign, channel, cell, code
        HAVING part != 0 OR money != 0
    ),
    persons AS
    (
        -- As the booker names persons (bookings/goals.sql).
        SELECT conversion_id, if(user_id != '', concat('u:', user_id), visitor) AS person
        FROM conversions
        WHERE project_id = {project_id:String} AND conversion_id IN (SELECT conversion_id FROM credited)
    )
SELECT
    toBool(grouping(source)) AS total,
    source, medium, campaign, channel, bucket,
    sum(part) AS conversions,
    toInt64(uniqExactIf(person, part > 0)) AS unique_converters,
    sumMap(map(code, money)) AS revenue
FROM
(
    SELECT
        toString(c.source) AS source, toString(c.medium) AS medium, toString(c.campaign) AS campaign,
        toString(c.channel) AS channel,
        multiIf(
            {interval:String} = 'hour', toString(toUnixTimestamp64Milli(cell) - toMinute(cell, {time_zone:String}) * 60000),
            {interval:String} = 'day', toString(toDate32(cell, {time_zone:String})),
            {interval:String} = 'week', toString(toMonday(toDate32(cell, {time_zone:String}))),
            {interval:String} = 'month', toString(toStartOfMonth(toDate32(cell, {time_zone:String}))),
            '') AS bucket,
        c.code AS code, c.part AS part, c.money AS money, p.person AS person
    FROM credited AS c
    LEFT JOIN persons AS p ON p.conversion_id = c.conversion_id
)
GROUP BY GROUPING SETS ((source, medium, campaign, channel, bucket), ())
SETTINGS enable_extended_results_for_datetime_functions = 1
