-- What each month came to, beside the month before.
--
-- The month before is that of the calendar: one without transactions counts as zero. The first published month has
-- none. A month that is not over, or began before the first published day, has fewer days_published than days: compare
-- it with care.
--
-- Parameters:
--   from         month = first   the first month shown
--   to           month = last    the last month shown
--   merchant_id  merchant = all  one merchant instead of all together
-- Reads:
--   monthly_series  [*, to]
-- Columns:
--   month                  String   key of the month
--   days_published         Int64    how many of its days lie between the first and the last published one
--   days                   Int64    how many days it has
--   amount                 Int128   sum of amounts, in CURRENCY
--   amount_before          Int128   that of the month before
--   amount_growth_percent  Float64  from the one to the other; null where the month before came to zero or less
--   count                  Int64    number of transactions
--   count_before           Int64    that of the month before
--   count_growth_percent   Float64  from the one to the other; null where the month before had none
WITH months AS (
    SELECT month_key, COUNT(*) AS days_published, MIN(days_in_month) AS days
    FROM days
    GROUP BY month_key
),
monthly AS (
    SELECT
        m.month_key,
        m.days_published,
        m.days,
        COALESCE(s.amount, CAST(0 AS INT128)) AS amount,
        COALESCE(s.count, 0) AS count
    FROM months AS m
    LEFT JOIN monthly_series AS s ON s.key = m.month_key
),
compared AS (
    SELECT
        *,
        LAG(amount) OVER (ORDER BY month_key) AS amount_before,
        LAG(count) OVER (ORDER BY month_key) AS count_before
    FROM monthly
)
SELECT
    month_key AS month,
    days_published,
    days,
    amount,
    amount_before,
    CASE
        WHEN amount_before > 0
            THEN 100 * CAST(amount - amount_before AS DOUBLE) / CAST(amount_before AS DOUBLE)
    END AS amount_growth_percent,
    count,
    count_before,
    CASE
        WHEN count_before > 0
            THEN 100 * CAST(count - count_before AS DOUBLE) / CAST(count_before AS DOUBLE)
    END AS count_growth_percent
FROM compared
CROSS JOIN parameters AS p
WHERE month_key BETWEEN p."from" AND p."to"
ORDER BY month
