-- Question  : what was booked for a conversion, in which run, and why?
-- Parameters: project_id String, conversion_id UUID
-- Returns   : run, committed_ms, run_kind, cause, scope, model, entry, touch_id, source, share, amount, currency. Folds only
--             add up what is here, and are left out
SELECT
    toInt64(c.run_number) AS run, toUnixTimestamp64Milli(r.committed_at) AS committed_ms, toString(r.kind) AS run_kind,
    toString(c.cause) AS cause, toString(c.scope) AS scope, toString(c.model) AS model, toString(c.entry) AS entry,
    toString(c.touch_id) AS touch_id, toString(c.source) AS source, c.share AS share, c.amount AS amount,
    toString(c.currency) AS currency
FROM credits AS c
INNER JOIN runs AS r ON r.run_id = c.run_id AND r.number = c.run_number
WHERE c.project_id = {project_id:String} AND c.conversion_id = {conversion_id:UUID} AND r.kind != 'fold'
  AND (c.run_number, c.run_id) IN
      (SELECT number, run_id FROM committed_runs WHERE number IN
          (SELECT run_number FROM credits WHERE project_id = {project_id:String} AND conversion_id = {conversion_id:UUID}))
ORDER BY run, scope, model, c.touched_at, touch_id, entry
