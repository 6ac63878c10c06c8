/*
about: |-
  The total of each month, compared with the previous month.

  A month without transactions counts as zero. The first published month has no previous month. A month that is not
  fully published has fewer days_published than days, so its growth is not comparable.
parameters:
- {name: from, kind: month, default: first, about: first month}
- {name: to, kind: month, default: last, about: last month}
- {name: merchant_id, kind: merchant, default: all, about: one merchant; by default all together}
reads:
- {table: monthly_series, last: to}
columns:
- {name: month, kind: String, about: key of the month}
- {name: days_published, kind: Int64, about: number of its days from the first to the last published day}
- {name: days, kind: Int64, about: number of its days}
- {name: amount, kind: Int128, about: "sum of amounts, in CURRENCY"}
- {name: amount_before, kind: Int128, about: "amount of the previous month, in CURRENCY"}
- {name: amount_growth_percent, kind: Float64, about: change of the amount; null if the previous amount is zero or less}
- {name: count, kind: Int64, about: number of transactions}
- {name: count_before, kind: Int64, about: count of the previous month}
- {name: count_growth_percent, kind: Float64, about: change of the count; null if the previous count is zero}
*/
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
