-- Question  : what carries these identities, and which identities do these carry?
-- Parameters: keys Array(Tuple(String, String, String)) (project_id, kind, key), at_most UInt32
-- Returns   : project_id, kind, key, carrier_kind, carrier: the edges that hop.sql follows. A capped key is a dead end here, too
SELECT DISTINCT toString(p.project_id), toString(p.kind), p.key, toString(p.carrier_kind), p.carrier
FROM person_keys AS p
WHERE (p.project_id, p.kind, p.key) IN {keys:Array(Tuple(String, String, String))}
  AND (p.project_id, p.kind, p.key) NOT IN (/* capped before */)
LIMIT {at_most:UInt32}
