-- Question  : which contacts are the person's alone?
-- Parameters: request_id UUID, project_id String, before_ms Int64
-- Books     : erasure_values (scratch): contacts that reports of the person's user name, and those of no other user
INSERT INTO erasure_values (request_id, kind, value)
WITH users AS (SELECT value FROM erasure_values WHERE request_id = {request_id:UUID} AND kind = 'user')
SELECT {request_id:UUID}, 'contact', contact_id
FROM identity_rows
WHERE project_id = {project_id:String} AND received_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')
  AND contact_id != ''
GROUP BY contact_id
HAVING countIf(user_id IN users) > 0 AND countIf(user_id != '' AND user_id NOT IN users) = 0
