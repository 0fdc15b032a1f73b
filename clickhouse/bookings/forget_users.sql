-- Question  : whose is the anonymous id or the contact that a request names?
-- Parameters: request_id UUID, project_id String, before_ms Int64
-- Books     : erasure_values (scratch): the user, if the identities named lead to exactly one. A device that several users
--             share is nobody's alone, and a session tells whose its events are
INSERT INTO erasure_values (request_id, kind, value)
WITH
    known AS (SELECT toString(kind) AS kind, value FROM erasure_values WHERE request_id = {request_id:UUID}),
    ours AS
    (
        SELECT user_id, contact_id, anonymous_id, session_id
        FROM identity_rows
        WHERE project_id = {project_id:String} AND received_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')
    )
SELECT {request_id:UUID}, 'user', any(found)
FROM
(
    SELECT DISTINCT user_id AS found
    FROM ours
    WHERE user_id != ''
      AND (('contact', contact_id) IN known OR ('anonymous', anonymous_id) IN known
           OR session_id IN (SELECT session_id FROM ours
                             WHERE session_id != '' AND (('anonymous', anonymous_id) IN known
                                                         OR ('contact', contact_id) IN known)))
)
WHERE NOT EXISTS (SELECT 1 FROM known WHERE kind = 'user')
HAVING count() = 1
