-- Question  : who is credited with how many conversions and how much revenue, as the books were when a run was the newest?
-- Parameters: project_id String, models Array(String), scope String (all, clicks, email), dimension String (source, medium,
--             campaign, channel, link, email_campaign, flow), goal_id String (only conversions that hit it; empty: all),
--             from_ms Int64, to_ms Int64 (Unix ms; from inclusive, to exclusive: when they converted), as_of UInt64 (run)
-- Returns   : model, value (empty where the credited touch has none), currency (empty where the clients named none),
--             conversions (sum of shares), net, refunded (0 or more)
WITH hits AS
(
    SELECT g.hit_id AS hit_id
    FROM goal_bookings AS g
    WHERE g.project_id = {project_id:String} AND g.goal_id = toUUIDOrZero({goal_id:String})
      AND g.run_id IN (SELECT run_id FROM runs_as_of(as_of = {as_of:UInt64}))
      -- The definition that was served then: the newest that had counted all history.
      AND g.definition =
      (
          SELECT max(d.definition)
          FROM goal_definitions AS d
          WHERE d.project_id = {project_id:String} AND d.goal_id = toUUIDOrZero({goal_id:String})
            AND d.run_number <= {as_of:UInt64}
            AND (d.run_number, d.run_id) IN (SELECT number, run_id FROM committed_runs)
      )
    GROUP BY hit_id
    HAVING sum(toInt64(g.conversions)) > 0
)
SELECT
    toString(c.model) AS model,
    multiIf(
        {dimension:String} = 'source', toString(c.source), {dimension:String} = 'medium', toString(c.medium),
        {dimension:String} = 'campaign', toString(c.campaign), {dimension:String} = 'channel', toString(c.channel),
        {dimension:String} = 'link', if(c.link_id = 0, '', toString(c.link_id)),
        {dimension:String} = 'email_campaign', c.email_campaign_id, c.flow_id) AS value,
    toString(c.currency) AS currency,
    sum(toDecimal128(c.share, 9)) AS conversions,
    sum(toDecimal128(c.amount, 4)) AS net,
    -sumIf(toDecimal128(c.amount, 4), c.entry = 'refund') AS refunded
FROM credits AS c
WHERE c.project_id = {project_id:String} AND c.scope = {scope:String} AND c.model IN {models:Array(String)}
  AND c.cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
  AND c.cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
  AND c.run_id IN (SELECT run_id FROM runs_as_of(as_of = {as_of:UInt64}))
  AND ({goal_id:String} = '' OR c.conversion_id IN (SELECT hit_id FROM hits))
GROUP BY model, value, currency
HAVING conversions != 0 OR net != 0 OR refunded != 0
ORDER BY model, value, currency
