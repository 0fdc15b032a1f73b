-- Question  : what carries these identities, or which identities do these carry?
-- Parameters: run_id, scope_id UUID (of run_closure); from_kinds, to_kinds Array(String)
-- Books     : run_closure (scratch): one hop over person_keys. HOPS in processors/booker/attribution.py is the walk: what a
--             conversion depends on, backwards. A capped key is a dead end, but not in the run that caps it: what it
--             tied together is attributed anew without it
INSERT INTO run_closure (run_id, kind, project_id, key)
SELECT DISTINCT {scope_id:UUID}, p.carrier_kind, p.project_id, p.carrier
FROM person_keys AS p
WHERE p.kind IN {from_kinds:Array(String)} AND p.carrier_kind IN {to_kinds:Array(String)}
  AND (p.project_id, p.kind, p.key) IN
      (SELECT project_id, kind, key FROM run_closure WHERE run_id = {scope_id:UUID} AND kind IN {from_kinds:Array(String)})
  AND (p.project_id, p.kind, p.key) NOT IN (/* capped before */)
