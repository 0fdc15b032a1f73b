-- Question  : which entries of which runs make the difference between the books as of two runs, and why were they booked?
-- Parameters: project_id String, model String, scope String, dimension String, goal_id String, from_ms Int64, to_ms Int64
--             (as in attribution_report), first UInt64, last UInt64 (runs; first is not later), most UInt32
-- Returns   : run, committed_ms, cause (of the run: arrival, refund, touch, sweep; goal: the entry is older or stays, but its
--             conversion began or ceased to be a hit of the goal), conversion_id, value, entry (sale, refund), currency,
--             conversions, net (signed), found (how many rows there are in all). At most `most` of them, earliest first
-- Sums      : over all rows they are the report as of `last` less the report as of `first`
WITH
    booked AS
    (
        -- Entries of folds are sums of others: the runs that booked them say why.
        SELECT run_id, number, committed_at
        FROM runs
        WHERE level = 0 AND number <= {last:UInt64} AND run_id IN (SELECT run_id FROM committed_runs)
    ),
    definitions AS
    (
        SELECT definition, run_number
        FROM goal_definitions AS d
        WHERE d.project_id = {project_id:String} AND d.goal_id = toUUIDOrZero({goal_id:String})
          AND (d.run_number, d.run_id) IN (SELECT number, run_id FROM committed_runs)
    ),
    hits_then AS
    (
        SELECT g.hit_id AS hit_id
        FROM goal_bookings AS g
        WHERE g.project_id = {project_id:String} AND g.goal_id = toUUIDOrZero({goal_id:String})
          AND g.run_id IN (SELECT run_id FROM runs_as_of(as_of = {first:UInt64}))
          AND g.definition = (SELECT max(definition) FROM definitions WHERE run_number <= {first:UInt64})
        GROUP BY hit_id
        HAVING sum(toInt64(g.conversions)) > 0
    ),
    hits_now AS
    (
        SELECT g.hit_id AS hit_id
        FROM goal_bookings AS g
        WHERE g.project_id = {project_id:String} AND g.goal_id = toUUIDOrZero({goal_id:String})
          AND g.run_id IN (SELECT run_id FROM runs_as_of(as_of = {last:UInt64}))
          AND g.definition = (SELECT max(definition) FROM definitions WHERE run_number <= {last:UInt64})
        GROUP BY hit_id
        HAVING sum(toInt64(g.conversions)) > 0
    ),
    entries AS
    (
        SELECT
            c.run_id AS run_id, c.run_number > {first:UInt64} AS since,
            {goal_id:String} = '' OR c.conversion_id IN (SELECT hit_id FROM hits_then) AS counted_then,
            {goal_id:String} = '' OR c.conversion_id IN (SELECT hit_id FROM hits_now) AS counted_now,
            toInt8(counted_now) - toInt8(counted_then AND NOT since) AS sign,
            if(since AND counted_now, toString(c.cause), 'goal') AS why,
            c.conversion_id AS conversion_id,
            multiIf(
                {dimension:String} = 'source', toString(c.source), {dimension:String} = 'medium', toString(c.medium),
                {dimension:String} = 'campaign', toString(c.campaign), {dimension:String} = 'channel', toString(c.channel),
                {dimension:String} = 'link', if(c.link_id = 0, '', toString(c.link_id)),
                {dimension:String} = 'email_campaign', c.email_campaign_id, c.flow_id) AS value,
            toString(c.entry) AS entry_kind, toString(c.currency) AS code,
            toDecimal128(c.share, 9) AS part, toDecimal128(c.amount, 4) AS money
        FROM credits AS c
        WHERE c.project_id = {project_id:String} AND c.scope = {scope:String} AND c.model = {model:String}
          AND c.cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
          AND c.cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
          AND c.run_id IN (SELECT run_id FROM booked)
          AND sign != 0
    )
SELECT
    toInt64(b.number) AS run,
    toUnixTimestamp64Milli(b.committed_at) AS committed_ms,
    e.why AS cause,
    toString(e.conversion_id) AS conversion_id,
    e.value AS value,
    e.entry_kind AS entry,
    e.code AS currency,
    sum(e.part * e.sign) AS conversions,
    sum(e.money * e.sign) AS net,
    toInt64(count() OVER ()) AS found
FROM entries AS e
INNER JOIN booked AS b ON b.run_id = e.run_id
GROUP BY run, committed_ms, cause, conversion_id, value, entry, currency
HAVING conversions != 0 OR net != 0
ORDER BY run, conversion_id, value, entry, currency
LIMIT {most:UInt32}
