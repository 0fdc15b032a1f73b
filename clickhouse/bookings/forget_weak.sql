-- Question  : which devices, sessions, clicks and conversions are the person's alone?
-- Parameters: request_id UUID, project_id String, before_ms Int64
-- Books     : erasure_values (scratch): what stands on rows of the person, and on no row of another user or contact. Rows
--             found by them are the person's, too: run it until nothing is added
-- Rule      : a row is the person's if it names their user, contact or conversion; one that names neither user nor contact
--             also by anonymous id, session or click, and without an anonymous id by the fingerprint
INSERT INTO erasure_values (request_id, kind, value)
WITH
    known AS (SELECT toString(kind) AS kind, value FROM erasure_values WHERE request_id = {request_id:UUID}),
    ours AS
    (
        SELECT *,
            ('user', user_id) IN known OR ('contact', contact_id) IN known OR ('conversion', conversion) IN known
                AS named,
            user_id = '' AND contact_id = '' AS silent,
            named OR (silent AND (
                ('anonymous', anonymous_id) IN known OR ('session', session_id) IN known OR ('click', click_id) IN known
                OR (anonymous_id = '' AND ('fingerprint', fingerprint) IN known))) AS theirs,
            (user_id != '' AND ('user', user_id) NOT IN known)
                OR (contact_id != '' AND ('contact', contact_id) NOT IN known) AS strangers
        FROM identity_rows
        WHERE project_id = {project_id:String} AND received_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')
    )
SELECT {request_id:UUID}, one.1, one.2
FROM ours
ARRAY JOIN arrayFilter(i -> i.2 != '', [
    ('anonymous', anonymous_id), ('session', session_id), ('click', click_id), ('fingerprint', fingerprint),
    ('conversion', conversion)]) AS one
GROUP BY one
HAVING countIf(theirs) > 0 AND countIf(strangers) = 0
   AND (one.1 != 'fingerprint' OR countIf(anonymous_id != '' AND ('anonymous', anonymous_id) NOT IN known AND NOT theirs) = 0)
