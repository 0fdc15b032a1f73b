-- Question  : which identities of a person who is being forgotten have been found?
-- Parameters: request_id UUID
-- Returns   : kind, value
SELECT toString(kind) AS kind, value
FROM erasure_values FINAL
WHERE request_id = {request_id:UUID}
