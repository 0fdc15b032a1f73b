-- Question  : which data-driven models were computed?
-- Parameters: project_id String; run_id String, model String, dimension String (empty: any); from_ms Int64, to_ms Int64 (of
--             their period, exactly; both 0: any); most UInt32
-- Returns   : the columns of model_runs, newest first
SELECT
    toString(r.run_id) AS id, toString(r.model) AS model, toInt64(r.model_order) AS model_order,
    toString(r.dimension) AS dimension, toString(r.first_day) AS first_day, toString(r.last_day) AS last_day,
    toString(r.time_zone) AS time_zone, r.from_ms AS from_ms, r.to_ms AS to_ms, r.inputs_hash AS inputs_hash,
    toInt64(r.book_run) AS book_run, toInt64(r.conversions) AS conversions, toInt64(r.lost_paths) AS lost_paths,
    toInt64(r.cut_paths) AS cut_paths, toInt64(r.grouped_values) AS grouped_values,
    toUnixTimestamp64Milli(r.created_at) AS created_ms
FROM model_runs AS r FINAL
WHERE r.project_id = {project_id:String}
  AND ({run_id:String} = '' OR toString(r.run_id) = {run_id:String})
  AND ({model:String} = '' OR r.model = {model:String})
  AND ({dimension:String} = '' OR r.dimension = {dimension:String})
  AND (({from_ms:Int64} = 0 AND {to_ms:Int64} = 0) OR (r.from_ms = {from_ms:Int64} AND r.to_ms = {to_ms:Int64}))
ORDER BY created_ms DESC, id
LIMIT {most:UInt32}
