-- Question  : which tables are there, with which columns, and which of them are filled from facts by views?
-- Parameters: none
-- Returns   : table, its columns that can be inserted (in order), those of its sorting key, and whether a view on events or
--             conversion_arrivals fills it, directly or by way of rare_events
SELECT
    toString(t.name) AS table,
    c.names AS columns,
    c.keys AS keys,
    t.name IN
    (
        SELECT extract(create_table_query, ' TO (?:`?\\w+`?\\.)?`?(\\w+)`?')
        FROM system.tables
        WHERE database = currentDatabase() AND engine = 'MaterializedView'
          AND match(create_table_query, 'FROM (?:`?\\w+`?\\.)?`?(?:events|rare_events|conversion_arrivals)`?\\b')
    ) AS derived
FROM system.tables AS t
INNER JOIN
(
    SELECT table,
           arrayMap(c -> c.2, arraySort(groupArrayIf((position, toString(name)), default_kind NOT IN ('MATERIALIZED', 'ALIAS'))))
               AS names,
           groupArrayIf(toString(name), is_in_sorting_key) AS keys
    FROM system.columns
    WHERE database = currentDatabase()
    GROUP BY table
) AS c ON c.table = t.name
WHERE t.database = currentDatabase() AND t.engine LIKE '%MergeTree'
ORDER BY table
