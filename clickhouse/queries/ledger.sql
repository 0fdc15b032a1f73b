-- Question  : is everything that was received accounted for?
-- Parameters: none
-- Returns   : by stage: received, stored, duplicate, rejected, quarantined, erased, conflict, imbalance (0 at rest)
SELECT
    stage,
    toInt64(received) AS received,
    toInt64(stored) AS stored,
    toInt64(duplicate) AS duplicate,
    toInt64(rejected) AS rejected,
    toInt64(quarantined) AS quarantined,
    toInt64(erased) AS erased,
    toInt64(conflict) AS conflict,
    toInt64(imbalance) AS imbalance
FROM v_ledger
ORDER BY stage
