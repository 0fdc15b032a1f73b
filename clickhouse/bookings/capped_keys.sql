-- Question  : which identities have got absurdly many edges?
-- Parameters: run_id UUID, run_number UInt64, max_edges UInt32, everything Bool. Deltas of both stages.
-- Books     : capped_keys: they join nothing from this run on; what they joined is attributed anew in this run
-- A key     : is counted when a new fact names it, so it is found in the run that brings the edge too many
INSERT INTO capped_keys (run_id, run_number, project_id, kind, key, edges)
WITH named AS
(
    SELECT project_id, key_kind AS kind, key_value AS key
    FROM event_log
    ARRAY JOIN key_kinds AS key_kind, key_values AS key_value
    WHERE identifies AND (/* events_delta */)
    UNION DISTINCT
    SELECT project_id, edge.1, edge.2
    FROM conversion_arrivals
    ARRAY JOIN arrayFilter(k -> k.2 != '', [
        ('click', click_id), ('user', user_id), ('contact', contact_id), ('anonymous', anonymous_id),
        ('fingerprint', fingerprint)]) AS edge
    WHERE (/* arrivals_delta */)
)
SELECT {run_id:UUID}, {run_number:UInt64}, project_id, kind, key, count() AS edges
FROM person_keys FINAL
WHERE (project_id, kind, key) IN
  (
      -- Counted with repeats first: there are never fewer, and the sort order makes it one pass.
      SELECT project_id, kind, key
      FROM person_keys
      WHERE kind IN ('click', 'user', 'contact', 'anonymous', 'fingerprint')
        AND ({everything:Bool} OR (project_id, kind, key) IN (SELECT project_id, kind, key FROM named))
      GROUP BY project_id, kind, key
      HAVING count() > {max_edges:UInt32}
  )
  AND (project_id, kind, key) NOT IN (SELECT project_id, kind, key FROM v_capped_keys)
GROUP BY project_id, kind, key
HAVING edges > {max_edges:UInt32}
SETTINGS optimize_aggregation_in_order = 1
