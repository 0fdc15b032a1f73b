-- Question  : what is booked for the conversions of a run over little?
-- Parameters: cells Array(Tuple(String, DateTime64, UUID)) (project_id, cell, conversion_id): an entry is in the cell of a time that
--             a report of its conversion states
-- Returns   : the entries that live runs have booked; ids as text, times in milliseconds
SELECT
    b.project_id, toString(b.conversion_id), b.scope, b.model, b.entry, toString(b.entry_id),
    toUnixTimestamp64Milli(b.entry_cell), toString(b.touch_id), toUnixTimestamp64Milli(b.touched_at), b.matched_by,
    toUnixTimestamp64Milli(b.converted_at), toUnixTimestamp64Milli(b.cell), b.source, b.medium, b.campaign,
    b.channel, b.link_id, b.email_campaign_id, b.flow_id, b.currency, b.share, b.amount
FROM credits AS b
WHERE b.run_id IN (/* live */)
  AND (b.project_id, b.cell, b.conversion_id) IN {cells:Array(Tuple(String, DateTime64(3, 'UTC'), UUID))}
