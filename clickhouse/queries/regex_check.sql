-- Question  : can the engine that will match with this regular expression compile it?
-- Parameters: pattern String
-- Returns   : matches Bool; or error 427 (CANNOT_COMPILE_REGEXP)
SELECT toBool(match('', {pattern:String})) AS matches
