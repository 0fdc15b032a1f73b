-- Question  : which visitor keys are made of the person's identities?
-- Parameters: request_id UUID
-- Books     : erasure_values (scratch)
INSERT INTO erasure_values (request_id, kind, value)
SELECT request_id, 'visitor', 
       concat(['a:', 'u:', 'c:', 'f:', 'k:'][indexOf(['anonymous', 'user', 'click', 'fingerprint', 'contact'], kind)], value)
FROM erasure_values FINAL
WHERE request_id = {request_id:UUID} AND kind IN ('anonymous', 'user', 'click', 'fingerprint', 'contact')
