-- Question  : which identities of the project have these keyed hashes?
-- Parameters: request_id UUID, project_id String, before_ms Int64 (rows received before), inner String, outer String (pads of
--             the HMAC, hexadecimal). The hashes are those of erasure_values, of kind hash
-- Books     : erasure_values (scratch)
INSERT INTO erasure_values (request_id, kind, value)
SELECT {request_id:UUID}, kind, value
FROM
(
    SELECT DISTINCT one.1 AS kind, one.2 AS value
    FROM identity_rows
    ARRAY JOIN arrayFilter(i -> i.2 != '', [
        ('user', user_id), ('contact', contact_id), ('anonymous', anonymous_id), ('session', session_id),
        ('click', click_id), ('fingerprint', fingerprint), ('conversion', conversion)]) AS one
    WHERE project_id = {project_id:String} AND received_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')
)
WHERE substring(lower(hex(SHA256(concat(
          unhex({outer:String}), SHA256(concat(unhex({inner:String}), kind, char(31), value)))))), 1, 32) IN
      (SELECT value FROM erasure_values WHERE request_id = {request_id:UUID} AND kind = 'hash')
