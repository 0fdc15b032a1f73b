-- Question  : how do the models weigh the touches of a path?
-- Parameters: none. Of a path, n: how many touches; place: 1 to n; age_ms: how long before its last touch each was
-- Returns   : name and whole weights of each model, in time order. A part of attribution.sql and weights.sql
-- A model   : is one line here. In time_decay a touch counts half as much as one seven days later
[
    ('last_touch', arrayMap(i -> toUInt64(i = n), place)),
    ('first_touch', arrayMap(i -> toUInt64(i = 1), place)),
    ('linear', arrayMap(i -> toUInt64(1), place)),
    ('position', arrayMap(i -> toUInt64(multiIf(n < 3, 1, i IN (1, n), 2 * (n - 2), 1)), place)),
    ('time_decay', arrayMap(ms -> toUInt64(round(exp2(-ms / 604800000) * 1000000000)), age_ms))
]
