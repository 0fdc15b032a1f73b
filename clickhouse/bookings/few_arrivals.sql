-- Question  : what do the reports of the conversions of a run over little say?
-- Parameters: conversions Array(Tuple(String, UUID)) (project_id, conversion_id)
-- Returns   : one row a report, those of one conversion in log order; ids as text, times in milliseconds
SELECT
    toString(project_id), toString(conversion_id), event_type, event_name, path, visitor, is_conversion, trust,
    toUnixTimestamp64Milli(received_at), toUnixTimestamp64Milli(converted_at), timed, user_id, anonymous_id, session_id,
    click_id, fingerprint, revenue, toString(currency), defaulted, window_days, contact_id, campaign_id, flow_id,
    attribution_window_days, currency_defaulted
FROM conversion_arrivals FINAL
WHERE (project_id, conversion_id) IN {conversions:Array(Tuple(String, UUID))}
ORDER BY project_id, conversion_id, kafka_offset, kafka_index
