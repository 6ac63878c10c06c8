-- The summaries without those of all merchants together (whose merchant_id is null): a SUM over it counts nothing twice.
CREATE VIEW IF NOT EXISTS summary_by_merchant AS
    SELECT mode, key, merchant_id, amount, count, period_start, period_end
    FROM summary_transaction
    WHERE merchant_id IS NOT NULL;
