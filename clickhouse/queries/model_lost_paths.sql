-- Question  : through which values did people come in a period, and convert not?
-- Parameters: project_id String, dimension String (source, medium, campaign, channel), from_ms Int64, to_ms Int64 (Unix ms;
--             from inclusive, to exclusive: when they came), as_of UInt64 (run), max_steps UInt32, max_paths UInt32
-- Returns   : steps (values in time order, equal neighbours as one), ends (paths), cut (of them, longer than max_steps).
--             One row more than max_paths: there are too many
-- A path    : is a person's touches in the period that no conversion of any time credits (model linear, scope all). A touch
--             counts as the booker counts it; a direct one only if the person has no other in the period and did not
--             convert in it either
-- Outside   : a click on a link counts where the session it led into shows no source itself, an e-mail interaction always
-- Person    : the event's user, else the one user its visitor was seen as in the period, else (of mails) the contact, else
--             the visitor
WITH
    seen AS
    (
        SELECT session_id, visitor, user_id, occurred_at, event_id
        FROM events
        WHERE project_id = {project_id:String}
          AND hour >= intDiv({from_ms:Int64}, 3600000) AND hour <= intDiv({to_ms:Int64}, 3600000)
          AND occurred_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
          AND occurred_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
    ),
    known AS
    (
        SELECT visitor, min(user_id) AS user
        FROM seen
        WHERE user_id != ''
        GROUP BY visitor
        HAVING min(user_id) = max(user_id)
    ),
    owners AS
    (
        SELECT s.session_id AS session_id,
               argMin(multiIf(s.user_id != '', concat('u:', s.user_id), k.user != '', concat('u:', k.user), s.visitor),
                      (s.user_id = '', s.occurred_at, s.event_id)) AS person
        FROM seen AS s
        LEFT JOIN known AS k ON k.visitor = s.visitor
        GROUP BY session_id
    ),
    credited AS
    (
        SELECT conversion_id, touch_id
        FROM credits AS c
        WHERE c.project_id = {project_id:String} AND c.scope = 'all' AND c.model = 'linear'
          AND c.cell >= fromUnixTimestamp64Milli({from_ms:Int64} - 900000, 'UTC')
          AND c.run_id IN (SELECT run_id FROM runs_as_of(as_of = {as_of:UInt64}))
        GROUP BY conversion_id, touch_id
        HAVING sum(toDecimal128(c.share, 9)) != 0
    ),
    converted AS
    (
        SELECT multiIf(c.user_id != '', concat('u:', c.user_id), k.user != '', concat('u:', k.user), c.visitor) AS person,
               c.session_id AS session_id
        FROM
        (
            SELECT user_id, visitor, session_id
            FROM conversions
            WHERE project_id = {project_id:String} AND is_conversion
              AND converted_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
              AND converted_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
              AND conversion_id IN (SELECT conversion_id FROM credited)
        ) AS c
        LEFT JOIN known AS k ON k.visitor = c.visitor
    ),
    visits AS
    (
        -- As bookings/candidates.sql: an entry counts if it is the first touch of its session.
        SELECT t.session_id AS session_id, t.touched_at AS touched_at, t.touch_id AS touch_id,
               toString(t.source) AS source, toString(t.medium) AS medium, toString(t.campaign) AS campaign,
               toString(t.channel) AS channel
        FROM
        (
            SELECT *, min((touched_at, touch_id)) OVER (PARTITION BY session_id) AS entry
            FROM touches FINAL
            WHERE project_id = {project_id:String} AND kind IN ('entry', 'campaign')
              AND session_id IN (SELECT session_id FROM seen)
        ) AS t
        WHERE t.kind = 'campaign' OR (t.touched_at, t.touch_id) = t.entry
    ),
    landings AS
    (
        SELECT p.key AS click_id, any(o.person) AS person,
               max(p.carrier IN (SELECT session_id FROM touches WHERE project_id = {project_id:String}
                                 AND kind IN ('entry', 'campaign') AND source != '(direct)')) AS told
        FROM person_keys AS p
        INNER JOIN owners AS o ON o.session_id = p.carrier
        WHERE p.project_id = {project_id:String} AND p.kind = 'click' AND p.carrier_kind = 'session'
          AND p.key IN (SELECT click_id FROM clicks WHERE project_id = {project_id:String}
                        AND clicked_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                        AND clicked_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC'))
        GROUP BY click_id
    ),
    outside AS
    (
        SELECT e.touch AS touch, e.occurred_at AS touched_at, e.event_id AS touch_id, e.click_id AS click_id,
               multiIf(e.user_id != '', concat('u:', e.user_id), k.user != '', concat('u:', k.user),
                       e.contact_id != '', concat('c:', e.contact_id), e.visitor) AS person,
               toString(e.touch_source) AS source, toString(e.touch_medium) AS medium,
               toString(e.touch_campaign) AS campaign, toString(e.touch_channel) AS channel
        FROM
        (
            SELECT * FROM events FINAL
            WHERE project_id = {project_id:String}
              AND hour >= intDiv({from_ms:Int64}, 3600000) AND hour <= intDiv({to_ms:Int64}, 3600000)
              AND touch IN ('click', 'email') AND NOT hasAny(marks, ['bot', 'prefetch'])
        ) AS e
        LEFT JOIN known AS k ON k.visitor = e.visitor
    ),
    came AS
    (
        SELECT o.person AS person, v.session_id AS session_id, v.touched_at AS touched_at, v.touch_id AS touch_id,
               v.source AS source, v.medium AS medium, v.campaign AS campaign, v.channel AS channel
        FROM visits AS v
        INNER JOIN owners AS o ON o.session_id = v.session_id
        UNION ALL
        SELECT if(l.person = '', u.person, l.person), '', u.touched_at, u.touch_id, u.source, u.medium, u.campaign, u.channel
        FROM outside AS u
        LEFT JOIN landings AS l ON l.click_id = u.click_id
        WHERE u.touch = 'email' OR NOT l.told
    ),
    walked AS
    (
        SELECT
            person,
            arraySort(groupArrayIf((touched_at, touch_id, value), NOT direct AND NOT credited)) AS lost,
            arraySort(groupArrayIf((touched_at, touch_id, value), direct AND NOT credited)) AS directs,
            countIf(NOT direct) AS known_touches,
            max(converts) AS converts
        FROM
        (
            SELECT
                c.person AS person, c.touched_at AS touched_at, c.touch_id AS touch_id, c.source = '(direct)' AS direct,
                multiIf(
                    {dimension:String} = 'source', c.source, {dimension:String} = 'medium', c.medium,
                    {dimension:String} = 'campaign', c.campaign, c.channel) AS value,
                c.touch_id IN (SELECT touch_id FROM credited) AS credited,
                c.person IN (SELECT person FROM converted)
                    OR c.session_id IN (SELECT session_id FROM converted WHERE session_id != '') AS converts
            FROM came AS c
            WHERE c.touched_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
              AND c.touched_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
        )
        GROUP BY person
    )
SELECT
    arraySlice(whole, -toInt64({max_steps:UInt32})) AS steps,
    toInt64(count()) AS ends,
    toInt64(countIf(length(whole) > {max_steps:UInt32})) AS cut
FROM
(
    SELECT arrayCompact(arrayMap(t -> t.3, if(known_touches = 0 AND NOT converts, directs, lost))) AS whole
    FROM walked
)
WHERE notEmpty(whole)
GROUP BY steps
ORDER BY steps
LIMIT {max_paths:UInt32} + 1
