-- Question  : through which values did conversions of a period come, and how often?
-- Parameters: project_id String, dimension String (source, medium, campaign, channel), from_ms Int64, to_ms Int64 (Unix ms;
--             from inclusive, to exclusive: when they converted), as_of UInt64 (run), max_steps UInt32, max_paths UInt32
-- Returns   : steps (values in time order, equal neighbours as one), ends (conversions), cut (of them, longer than
--             max_steps). One row more than max_paths: there are too many
-- A path    : is what model linear credits in scope all: every touch that counts has a share there
WITH
    touched AS
    (
        SELECT
            c.conversion_id AS conversion_id, c.touch_id AS touch_id, c.touched_at AS touched_at,
            toString(multiIf(
                {dimension:String} = 'source', c.source, {dimension:String} = 'medium', c.medium,
                {dimension:String} = 'campaign', c.campaign, c.channel)) AS value
        FROM credits AS c
        WHERE c.project_id = {project_id:String} AND c.scope = 'all' AND c.model = 'linear'
          AND c.cell >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
          AND c.cell < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
          AND c.run_id IN (SELECT run_id FROM runs_as_of(as_of = {as_of:UInt64}))
        GROUP BY conversion_id, touch_id, touched_at, value
        HAVING sum(toDecimal128(c.share, 9)) != 0
    ),
    walked AS
    (
        SELECT conversion_id,
               arrayCompact(arrayMap(t -> t.3, arraySort(groupArray((touched_at, touch_id, value))))) AS whole
        FROM touched
        GROUP BY conversion_id
    )
SELECT
    arraySlice(whole, -toInt64({max_steps:UInt32})) AS steps,
    toInt64(count()) AS ends,
    toInt64(countIf(length(whole) > {max_steps:UInt32})) AS cut
FROM walked
GROUP BY steps
ORDER BY steps
LIMIT {max_paths:UInt32} + 1
