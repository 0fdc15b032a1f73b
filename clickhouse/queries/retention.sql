-- Question  : of the persons who began in a week, how many came back in each week after it?
-- Parameters: project_id String, goal_ids Array(UUID) (to begin is to hit one of them; empty: the first event of all), first,
--             last String (YYYY-MM-DD, Mondays: the first and the last week of beginners), weeks Int64 (how many after it),
--             until_ms Int64 (Unix ms, exclusive: what is later is not looked at), time_zone String (of the weeks)
-- Returns   : cohort (Monday of the week they began in), week (0: that week, in which all of them were there), persons.
--             Weeks in which nobody came back are missing
-- Person    : as in queries/funnel.sql, over all events before until_ms: the event's user, else the one user its visitor was
--             seen as, else the visitor. Hits are those that are booked
WITH
    seen AS
    (
        SELECT occurred_at AS at, user_id, visitor
        FROM events
        WHERE project_id = {project_id:String} AND event_type != 'refund' AND hour <= intDiv({until_ms:Int64}, 3600000)
          AND occurred_at < fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
          AND touch != 'email'  -- reading e-mail is no visit
        UNION ALL
        SELECT converted_at AS at, user_id, visitor
        FROM conversion_arrivals
        WHERE project_id = {project_id:String}
          AND converted_at < fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
    ),
    known AS
    (
        SELECT visitor, min(user_id) AS user
        FROM seen
        WHERE user_id != ''
        GROUP BY visitor
        HAVING min(user_id) = max(user_id)
    ),
    hits AS
    (
        SELECT occurred_at AS at, person
        FROM goal_bookings
        WHERE project_id = {project_id:String}
          AND goal_id IN {goal_ids:Array(UUID)}
          AND occurred_at < fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
          AND (project_id, goal_id, definition) IN (SELECT project_id, goal_id, definition FROM served_definitions)
          AND run_id IN (SELECT run_id FROM live_runs)
        GROUP BY at, person, goal_id, hit_id
        HAVING sum(toInt64(conversions)) > 0
    ),
    persons AS
    (
        SELECT person, minIf(monday, begins) AS cohort, groupUniqArray(monday) AS there
        FROM
        (
            SELECT
                multiIf(p.user != '', concat('u:', p.user), k.user != '', concat('u:', k.user), p.visitor) AS person,
                toMonday(toDate32(p.at, {time_zone:String})) AS monday,
                p.begins AS begins
            FROM
            (
                SELECT at, user_id AS user, visitor, empty({goal_ids:Array(UUID)}) AS begins FROM seen
                UNION ALL
                SELECT at, '' AS user, person AS visitor, 1 AS begins FROM hits
            ) AS p
            LEFT JOIN known AS k ON k.visitor = p.visitor
        )
        GROUP BY person
        HAVING countIf(begins) > 0 AND cohort >= toDate32({first:String}) AND cohort <= toDate32({last:String})
    )
SELECT toString(cohort) AS cohort, week, toInt64(count()) AS persons
FROM
(
    SELECT cohort, toInt64(arrayJoin(arrayMap(monday -> intDiv(dateDiff('day', cohort, monday), 7), there))) AS week
    FROM persons
)
WHERE week BETWEEN 0 AND {weeks:Int64}
GROUP BY cohort, week
ORDER BY cohort, week
SETTINGS enable_extended_results_for_datetime_functions = 1
