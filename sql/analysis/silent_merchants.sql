-- Merchants that used to have transactions and have none any more.
--
-- Whoever had transactions on `active_days` days or more, and none in the last `silent_days` days up to `to`.
--
-- Parameters:
--   to           day = last       the day to look back from; the last published one if it is later
--   silent_days  integer>=1 = 30  how long without a transaction, in days
--   active_days  integer>=1 = 2   on how many days there must have been some
-- Reads:
--   daily  [*, to]
-- Columns:
--   merchant_id  String   the merchant
--   last_day     String   key of its last day with transactions
--   silent_days  Int64    days since then, up to `to`
--   usual_gap    Float64  days from one of its days with transactions to the next, on average; null if it had one
--   active_days  Int64    on how many days it had transactions
--   amount       Int128   sum of its amounts, in CURRENCY
--   count        Int64    number of its transactions
WITH merchants AS (
    SELECT
        s.merchant_id,
        MIN(d.day) AS first_day,
        MAX(d.day) AS last_day,
        MAX(s.key) AS last_key,
        COUNT(*) AS active_days,
        SUM(s.amount) AS amount,
        SUM(s.count) AS count
    FROM daily AS s
    JOIN days AS d ON d.day_key = s.key
    WHERE s.merchant_id IS NOT NULL
    GROUP BY s.merchant_id
),
asked AS (
    SELECT MAX(d.day) AS day
    FROM days AS d
    CROSS JOIN parameters AS p
    WHERE d.day_key <= p."to"
),
dated AS (
    SELECT m.*, a.day - m.last_day AS silent
    FROM merchants AS m
    CROSS JOIN asked AS a
)
SELECT
    m.merchant_id,
    m.last_key AS last_day,
    m.silent AS silent_days,
    CASE
        WHEN m.active_days > 1
            THEN CAST(m.last_day - m.first_day AS DOUBLE) / CAST(m.active_days - 1 AS DOUBLE)
    END AS usual_gap,
    m.active_days,
    m.amount,
    m.count
FROM dated AS m
CROSS JOIN parameters AS p
WHERE m.silent >= p.silent_days AND m.active_days >= p.active_days
ORDER BY amount DESC, merchant_id
