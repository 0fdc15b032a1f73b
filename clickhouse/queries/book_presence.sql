-- Question  : have the new facts of a run touched anybody, and are there any refunds, clicks on links and capped keys at all?
-- Parameters: scope_id UUID
-- Returns   : whether run_closure has a row of the run, whether refunds, click_keys, capped_keys have any
SELECT
    (SELECT count() FROM (SELECT 1 FROM run_closure WHERE run_id = {scope_id:UUID} LIMIT 1)) > 0,
    (SELECT count() FROM (SELECT 1 FROM refunds LIMIT 1)) > 0,
    (SELECT count() FROM (SELECT 1 FROM click_keys LIMIT 1)) > 0,
    (SELECT count() FROM (SELECT 1 FROM capped_keys LIMIT 1)) > 0
