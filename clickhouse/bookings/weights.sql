-- Question  : how do the models weigh the touches of these paths?
-- Parameters: paths Array(Array(Int64)) (age_ms of models.sql)
-- Returns   : age_ms, and of each model its name and weights, for a run over little
SELECT age_ms, /* models */
FROM (SELECT arrayJoin({paths:Array(Array(Int64))}) AS age_ms, length(age_ms) AS n, arrayEnumerate(age_ms) AS place)
