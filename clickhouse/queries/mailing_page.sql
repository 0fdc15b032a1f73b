-- Question  : which conversions are on a page of a project's list, and how many are on all pages together?
-- Parameters: project_id String; kind, contact_id, campaign_id String (empty: any); skip UInt64, page UInt64
-- Returns   : total, ids (newest first); one row. Both come from one read, so they agree whatever is written meanwhile
SELECT
    toInt64(count()) AS total,
    arrayMap(
        place -> toString(place.2),
        arraySlice(
            arraySort(groupArray((-toUnixTimestamp64Milli(c.converted_at), c.conversion_id))),
            {skip:UInt64} + 1, {page:UInt64})) AS ids
FROM conversions AS c
WHERE c.project_id = {project_id:String}
  AND c.is_conversion
  AND ({kind:String} = '' OR c.kind = {kind:String})
  AND ({contact_id:String} = '' OR c.contact_id = {contact_id:String})
  AND ({campaign_id:String} = '' OR c.campaign_id = {campaign_id:String})
