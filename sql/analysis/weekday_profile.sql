-- What the days of the week come to on average.
--
-- Every day from the first to the last counts, also those without transactions.
--
-- Parameters:
--   from         day = first     the first day
--   to           day = last      the last day
--   merchant_id  merchant = all  one merchant instead of all together
-- Reads:
--   daily_series  [from, to]
-- Columns:
--   weekday        Int64    place in the week of the calendar: 1 is Saturday in the Jalali, Monday in the Gregorian
--   weekday_name   String   its English name
--   days           Int64    how many such days there are
--   amount         Int128   sum of their amounts, in CURRENCY
--   mean_amount    Float64  amount a day, in CURRENCY
--   share_percent  Float64  their part of the amount of all days; null where that is zero or less
--   count          Int64    number of their transactions
--   mean_count     Float64  transactions a day
WITH profile AS (
    SELECT
        d.weekday,
        d.weekday_name,
        COUNT(*) AS days,
        COALESCE(SUM(s.amount), CAST(0 AS INT128)) AS amount,
        COALESCE(SUM(s.count), 0) AS count
    FROM days AS d
    CROSS JOIN parameters AS p
    LEFT JOIN daily_series AS s ON s.key = d.day_key
    WHERE d.day_key BETWEEN p."from" AND p."to"
    GROUP BY d.weekday, d.weekday_name
),
compared AS (
    SELECT *, SUM(amount) OVER () AS all_days
    FROM profile
)
SELECT
    weekday,
    weekday_name,
    days,
    amount,
    CAST(amount AS DOUBLE) / CAST(days AS DOUBLE) AS mean_amount,
    CASE WHEN all_days > 0 THEN 100 * CAST(amount AS DOUBLE) / CAST(all_days AS DOUBLE) END AS share_percent,
    count,
    CAST(count AS DOUBLE) / CAST(days AS DOUBLE) AS mean_count
FROM compared
ORDER BY weekday
