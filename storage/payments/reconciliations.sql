-- insert_report --
-- The report's id where the day has none yet, else no row. Index: reconciliations_day_key.
INSERT INTO reconciliations (report_id, day, status, started_at_ms) VALUES ($1, $2, 'running', $3)
ON CONFLICT (day) DO NOTHING RETURNING report_id;

-- read_day --
-- The day of a report that is not done; 0 or 1 row. Index: reconciliations_pkey.
SELECT day FROM reconciliations WHERE report_id = $1 AND status = 'running';

-- finish_report --
-- The report's id, unless it was done before. Index: reconciliations_pkey. Locks: the row.
UPDATE reconciliations SET status = 'done', movements = $2, differences = $3, finished_at_ms = $4
WHERE report_id = $1 AND status = 'running' RETURNING report_id;

-- list_reports --
-- Reports of days before one, newest first, at most $2. Index: reconciliations_day_key, backward.
SELECT report_id, day, status, movements, differences, finished_at_ms FROM reconciliations
WHERE day < $1 ORDER BY day DESC LIMIT $2;

-- list_differences --
-- The first differences of these reports, at most $2 of each. Index: reconciliation_differences_pkey.
SELECT report_id, kind, source, own_id, currency, provider_minor, ours_minor FROM reconciliation_differences
WHERE report_id = ANY ($1::uuid[]) AND number < $2 ORDER BY report_id, number;

-- read_booked --
-- What we booked in an interval ($1 until before $2), or under names of the provider's ($3): the name in its books, the
-- amounts it may have there, and when we booked the first of them. Indexes: top_ups_booked, top_ups_entry,
-- refunds_booked, refunds_reference, disputes_booked, disputes_reference_key, payouts_sent, payouts_entry.
SELECT 'charge' AS kind, top_up_id AS own_id, entry AS source, currency, ARRAY[amount_minor] AS amounts, booked_at_ms
FROM top_ups
WHERE booked_at_ms IS NOT NULL AND ((booked_at_ms >= $1 AND booked_at_ms < $2) OR (entry = ANY ($3::text[]) AND entry <> ''))
UNION ALL
SELECT 'refund', refund_id, reference, currency,
       CASE status WHEN 'failed' THEN ARRAY[-amount_minor, amount_minor] ELSE ARRAY[-amount_minor] END, booked_at_ms
FROM refunds WHERE (booked_at_ms >= $1 AND booked_at_ms < $2) OR (reference = ANY ($3::text[]) AND reference <> '')
UNION ALL
SELECT 'dispute', d.dispute_id, d.reference, t.currency,
       CASE d.status WHEN 'won' THEN ARRAY[-d.amount_minor, d.amount_minor] ELSE ARRAY[-d.amount_minor] END, d.booked_at_ms
FROM disputes AS d JOIN top_ups AS t USING (top_up_id)
WHERE d.booked_at_ms IS NOT NULL
  AND ((d.booked_at_ms >= $1 AND d.booked_at_ms < $2) OR d.reference = ANY ($3::text[]))
UNION ALL
SELECT 'payout', payout_id, entry, currency,
       CASE status WHEN 'failed' THEN ARRAY[-amount_minor, amount_minor] ELSE ARRAY[-amount_minor] END, sent_at_ms
FROM payouts WHERE (sent_at_ms >= $1 AND sent_at_ms < $2) OR (entry = ANY ($3::text[]) AND entry <> '');

-- count_newest --
-- How many differences the newest finished report has; 0 or 1 row. Index: reconciliations_day_key, backward.
SELECT differences FROM reconciliations WHERE status = 'done' ORDER BY day DESC LIMIT 1;

-- count_review --
-- How many top-ups, refunds and payouts a person has to look at. Indexes: top_ups_review, refunds_review, payouts_review.
SELECT (SELECT count(*) FROM top_ups WHERE needs_review AND status IN ('created', 'requires_action', 'processing', 'failed'))
     + (SELECT count(*) FROM refunds WHERE needs_review AND status IN ('created', 'processing'))
     + (SELECT count(*) FROM payouts WHERE needs_review AND status IN ('created', 'sent'));
