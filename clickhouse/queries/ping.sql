-- Question  : does the server answer, and is the schema there?
-- Parameters: none
-- Returns   : answer (1)
SELECT toUInt8(count() >= 0) AS answer FROM runs WHERE number = 0
