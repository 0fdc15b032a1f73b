-- Question  : which touches may be credited for a conversion, which are out, and why?
-- Parameters: scope_id UUID (of run_subjects and run_reach); which String: all, booked (of run_booked), new (the others)
-- Returns   : one row for each conversion and scope: its touches in time order, and a verdict for each. A part of
--             attribution.sql and of the query behind `explain`, so that both say the same
-- Verdict   : in; after_conversion; outside_lookback; superseded (another touch stands for it); weaker_key (a fingerprint,
--             where a better identity has a touch); overridden (the conversion names its click, campaign or flow);
--             direct (there is a known source)
SELECT
    * EXCEPT (inside),
    arrayMap(t -> multiIf(
        t.at > converted_at, 'after_conversion',
        t.at <= looks_back_to, 'outside_lookback',
        t.late OR (t.landed AND scope = 'all'), 'superseded',
        t.rank = 6 AND has_better, 'weaker_key',
        names_click AND t.rank != 1, 'overridden',
        scope = 'email' AND claimed AND (campaign_id = '' OR t.email_campaign_id != campaign_id)
            AND (flow_id = '' OR t.flow_id != flow_id), 'overridden',
        scope = 'all' AND t.source = '(direct)' AND has_known, 'direct',
        'in'), touches) AS verdicts
FROM
(
    SELECT *, arrayExists(t -> t.source != '(direct)' AND (t.rank < 6 OR NOT has_better), inside) AS has_known
    FROM
    (
        SELECT *, arrayExists(t -> t.rank < 6, inside) AS has_better,
               scope = 'clicks' AND arrayExists(t -> t.rank = 1, inside) AS names_click
        FROM
        (
            SELECT
                project_id, conversion_id, cause, converted_at, currency, steps, campaign_id, flow_id, claimed,
                one.1 AS scope, one.2 AS touches, one.3 AS looks_back_to,
                arrayFilter(t -> t.at <= converted_at AND t.at > looks_back_to AND NOT t.late
                                 AND NOT (t.landed AND scope = 'all'), touches) AS inside
            FROM
            (
                SELECT
                    s.project_id AS project_id, s.conversion_id AS conversion_id, s.cause AS cause, s.converted_at AS converted_at,
                    s.currency AS currency, s.steps AS steps, s.campaign_id AS campaign_id, s.flow_id AS flow_id,
                    s.campaign_id != '' OR s.flow_id != '' AS claimed,
                    arraySort(t -> (t.at, t.id, t.rank, NOT t.landed), f.found) AS sorted,
                    -- A click may be found by its id and by its fingerprint: the better way counts.
                    arrayFilter((t, previous) -> t.id != previous, sorted,
                                arrayPopBack(arrayPushFront(sorted.id, toUUID('00000000-0000-0000-0000-000000000000')))) AS all_touches,
                    arrayJoin(arrayFilter(o -> o.1 = 'all' OR notEmpty(o.2) OR (o.1 = 'email' AND claimed), [
                        ('all', all_touches, s.converted_at - toIntervalDay(s.window_days)),
                        ('clicks', arrayFilter(t -> t.kind = 'click', all_touches),
                             s.converted_at - toIntervalDay(s.window_days)),
                        ('email', arrayFilter(t -> t.kind = 'email', all_touches),
                             s.converted_at - toIntervalDay(s.email_days))])) AS one
                FROM
                (
                    SELECT *
                    FROM run_subjects
                    WHERE run_id = {scope_id:UUID} AND ({which:String} = 'all' OR ({which:String} = 'booked') =
                          ((project_id, conversion_id) IN (SELECT project_id, conversion_id FROM run_booked WHERE run_id = {scope_id:UUID})))
                ) AS s
                LEFT JOIN
                (
                    SELECT
                        r.project_id AS project_id, r.conversion_id AS conversion_id,
                        groupArrayArray(CAST(
                            arrayMap(t -> (t.1, t.2, t.3, r.rank, toString(r.matched_by), t.4, t.5, t.6, t.7, t.8, t.9, t.10, t.11,
                                           t.3 = 'click' AND r.landed), l.touches),
                            'Array(Tuple(at DateTime64(3, ''UTC''), id UUID, kind String, rank UInt8, matched_by String, source String,
                             medium String, campaign String, channel String, link_id UInt64, email_campaign_id String, flow_id String,
                             late Bool, landed Bool))')) AS found
                    FROM (SELECT * FROM run_reach WHERE run_id = {scope_id:UUID}) AS r
                    INNER JOIN
                    (
                        -- An entry counts if it is the first touch of its session: others were first only while events were missing.
                        SELECT project_id, 'session' AS kind, session_id AS key,
                               arrayMap((t, i) -> (t.1, t.2, t.3, t.4, t.5, t.6, t.7, toUInt64(0), '', '',
                                                   t.3 = 'entry' AND i > 1),
                                        arraySort(groupArray((touched_at, touch_id, toString(touches.kind), toString(source),
                                                              toString(medium), toString(campaign), toString(channel)))) AS sorted,
                                        arrayEnumerate(sorted)) AS touches
                        FROM touches FINAL
                        WHERE touches.kind IN ('entry', 'campaign') AND (project_id, session_id) IN
                              (SELECT project_id, key FROM run_reach WHERE run_id = {scope_id:UUID} AND run_reach.kind = 'session')
                        GROUP BY project_id, session_id
                        UNION ALL
                        SELECT project_id, toString(click_keys.kind) AS kind, key,
                               groupArray((touched_at, touch_id, 'click', toString(source), toString(medium), toString(campaign),
                                           toString(channel), link_id, '', '', false))
                        FROM click_keys FINAL
                        WHERE (project_id, click_keys.kind, key) IN
                              (SELECT project_id, run_reach.kind, key FROM run_reach WHERE run_id = {scope_id:UUID})
                        GROUP BY project_id, kind, key
                        UNION ALL
                        SELECT project_id, toString(mail_keys.kind) AS kind, key,
                               groupArray((touched_at, touch_id, 'email', toString(source), toString(medium), toString(campaign),
                                           toString(channel), toUInt64(0), email_campaign_id, flow_id, false))
                        FROM mail_keys FINAL
                        WHERE (project_id, mail_keys.kind, key) IN
                              (SELECT project_id, run_reach.kind, key FROM run_reach WHERE run_id = {scope_id:UUID})
                        GROUP BY project_id, kind, key
                    ) AS l ON l.project_id = r.project_id AND l.kind = r.kind AND l.key = r.key
                    GROUP BY project_id, conversion_id
                ) AS f ON f.project_id = s.project_id AND f.conversion_id = s.conversion_id
            )
        )
    )
)
