-- Question  : how many entries has a run inserted?
-- Parameters: run_id UUID, number UInt64
-- Returns   : entries in goal_bookings, entries in credits
SELECT
    (SELECT count() FROM goal_bookings WHERE run_number = {number:UInt64} AND run_id = {run_id:UUID}),
    (SELECT count() FROM credits WHERE run_number = {number:UInt64} AND run_id = {run_id:UUID})
