-- Question  : are there any refunds, clicks on links and capped keys at all?
-- Parameters: none
-- Returns   : whether refunds, click_keys, capped_keys have any row
SELECT
    (SELECT count() FROM (SELECT 1 FROM refunds LIMIT 1)) > 0,
    (SELECT count() FROM (SELECT 1 FROM click_keys LIMIT 1)) > 0,
    (SELECT count() FROM (SELECT 1 FROM capped_keys LIMIT 1)) > 0
