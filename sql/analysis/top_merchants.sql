-- Who sold most in a day, week or month.
--
-- Merchants that come to the same share a place, and all of the last place are shown.
--
-- Parameters:
--   period  period = last          a day, a week or a month; by default the last month
--   by      amount|count = amount  what merchants are ranked by
--   limit   integer>=1 = 10        how many places
-- Reads:
--   daily    [period, period]
--   weekly   [period, period]
--   monthly  [period, period]
-- Columns:
--   place          Int64    1 for the most
--   merchant_id    String   the merchant
--   amount         Int128   sum of its amounts, in CURRENCY; refunds lower it
--   count          Int64    number of its transactions
--   mean_amount    Float64  amount per transaction, in CURRENCY
--   share_percent  Float64  its part of what is ranked, of all merchants; null where they come to zero or less
WITH periods AS (
    SELECT * FROM daily
    UNION ALL
    SELECT * FROM weekly
    UNION ALL
    SELECT * FROM monthly
),
measured AS (
    SELECT
        merchant_id,
        amount,
        count,
        CASE WHEN p.by = 'count' THEN CAST(count AS INT128) ELSE amount END AS ranked
    FROM periods
    CROSS JOIN parameters AS p
    WHERE merchant_id IS NOT NULL
),
placed AS (
    SELECT *, RANK() OVER (ORDER BY ranked DESC) AS place, SUM(ranked) OVER () AS all_together
    FROM measured
)
SELECT
    place,
    merchant_id,
    amount,
    count,
    CAST(amount AS DOUBLE) / CAST(count AS DOUBLE) AS mean_amount,
    CASE
        WHEN all_together > 0 THEN 100 * CAST(ranked AS DOUBLE) / CAST(all_together AS DOUBLE)
    END AS share_percent
FROM placed
CROSS JOIN parameters AS p
WHERE place <= p."limit"
ORDER BY place, merchant_id
