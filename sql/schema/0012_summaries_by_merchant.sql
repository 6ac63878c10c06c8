-- The summaries without the overall rows (whose merchant_id is null), so that a SUM counts no transaction twice.
CREATE VIEW IF NOT EXISTS summary_by_merchant AS
    SELECT mode, key, merchant_id, amount, count, period_start, period_end
    FROM summary_transaction
    WHERE merchant_id IS NOT NULL;
