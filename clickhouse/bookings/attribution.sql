-- Question  : what share of a conversion, and of its money, belongs to each touch?
-- Parameters: those of candidates.sql
-- Returns   : one row for each conversion, scope, model, entry (the sale, each refund) and touch: what must be booked. A part
--             of target_credits.sql and explain_shares.sql
-- A model   : is one line of models.sql: whole weights of the touches in time order. Shares and amounts follow from them: the
--             cumulative sum is rounded and differences are taken, so they add up to 1 and to the money, to the last digit
WITH
    toUUID('00000000-0000-0000-0000-000000000000') AS no_touch,
    paths AS
    (
        SELECT
            project_id, conversion_id, cause, converted_at, currency, steps, scope,
            arrayMap(t -> (t.id, t.at, t.matched_by, t.source, t.medium, t.campaign, t.channel, t.link_id,
                           t.email_campaign_id, t.flow_id),
                     arrayFilter((t, verdict) -> verdict = 'in', touches, verdicts)) AS counted,
            multiIf(
                notEmpty(counted), counted,
                scope = 'all', [(no_touch, converted_at, '', '(direct)', '(none)', '', 'Direct', 0, '', '')],
                scope = 'email' AND claimed,
                [(no_touch, converted_at, '', 'email', 'email', if(campaign_id = '', flow_id, campaign_id), 'Email', 0,
                  campaign_id, flow_id)],
                []) AS path
        FROM (/* candidates */)
        WHERE notEmpty(path)
    ),
    weighted AS
    (
        SELECT
            * EXCEPT (counted),
            length(path) AS n,
            arrayEnumerate(path) AS place,
            arrayMap(t -> toUnixTimestamp64Milli(path[-1].2) - toUnixTimestamp64Milli(t.2), path) AS age_ms,
            arrayJoin(/* models */) AS models
        FROM paths
    ),
    summed AS
    (
        SELECT
            project_id, conversion_id, cause, converted_at, currency, scope, path, models.1 AS model,
            arrayCumSum(arrayMap(w -> toInt128(w), models.2)) AS reached,
            toInt128(arraySum(models.2)) AS whole,
            arrayJoin(steps) AS step
        FROM weighted
    ),
    split AS
    (
        SELECT
            project_id, conversion_id, cause, converted_at, currency, scope, model, step, path,
            arrayPushFront(arrayMap(c -> intDiv(2 * c * if(step.entry = 'sale', 1000000000, 0) + whole, 2 * whole), reached),
                           toInt128(0)) AS shares,
            arrayPushFront(arrayMap(c -> intDiv(2 * c * step.after + whole, 2 * whole)
                                         - intDiv(2 * c * step.before + whole, 2 * whole), reached),
                           toInt128(0)) AS amounts
        FROM summed
    ),
    entries AS
    (
        SELECT
            project_id, conversion_id, cause, converted_at, currency, scope, model, step,
            arrayJoin(arrayZip(path, arrayMap((x, y) -> y - x, arrayPopBack(shares), arrayPopFront(shares)),
                               arrayMap((x, y) -> y - x, arrayPopBack(amounts), arrayPopFront(amounts)))) AS part
        FROM split
    )
SELECT
    project_id, conversion_id, scope, model, step.entry AS entry, step.entry_id AS entry_id, fromUnixTimestamp64Milli(
        toUnixTimestamp64Milli(step.at) - positiveModulo(toUnixTimestamp64Milli(step.at), 900000), 'UTC') AS entry_cell,
    part.1.1 AS touch_id, part.1.2 AS touched_at, part.1.3 AS matched_by, converted_at, fromUnixTimestamp64Milli(
        toUnixTimestamp64Milli(converted_at) - positiveModulo(toUnixTimestamp64Milli(converted_at), 900000), 'UTC') AS cell,
    part.1.4 AS source, part.1.5 AS medium, part.1.6 AS campaign, part.1.7 AS channel, part.1.8 AS link_id,
    part.1.9 AS email_campaign_id, part.1.10 AS flow_id, currency,
    toDecimal128(part.2, 0) * toDecimal128('0.000000001', 9) AS share,
    toDecimal128(part.3, 0) * toDecimal128('0.0001', 4) AS amount,
    cause
FROM entries
WHERE share != 0 OR amount != 0
