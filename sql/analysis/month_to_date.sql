/*
about: |-
  Running totals of a month by day, compared with the previous month up to the same day.

  Days without transactions have rows too, up to `to` or the last published day.
parameters:
- {name: to, kind: day, default: last, about: last day; the published days of its month up to this day are shown}
- {name: merchant_id, kind: merchant, default: all, about: one merchant; by default all together}
reads:
- {table: daily_series, last: to}
columns:
- {name: day, kind: String, about: key of the day}
- {name: day_of_month, kind: Int64, about: "day of the month, from 1"}
- {name: amount, kind: Int128, about: "sum of its amounts, in CURRENCY"}
- {name: amount_to_date, kind: Int128, about: "amount from the beginning of the month, in CURRENCY"}
- {name: amount_before, kind: Int128, about: "amount of the previous month up to the same day, in CURRENCY; null if that day is not published"}
- {name: count, kind: Int64, about: number of its transactions}
- {name: count_to_date, kind: Int64, about: count from the beginning of the month}
- {name: count_before, kind: Int64, about: count of the previous month up to the same day; null if that day is not published}
*/
WITH filled AS (
    SELECT
        d.day_key,
        d.month,
        d.month_key,
        d.day_of_month,
        COALESCE(s.amount, CAST(0 AS INT128)) AS amount,
        COALESCE(s.count, 0) AS count
    FROM days AS d
    LEFT JOIN daily_series AS s ON s.key = d.day_key
),
requested AS (
    SELECT MAX(d.day_key) AS day_key, MAX(d.month) AS month
    FROM days AS d
    CROSS JOIN parameters AS p
    WHERE d.day_key <= p."to"
),
summed AS (
    SELECT
        *,
        SUM(amount) OVER (PARTITION BY month_key ORDER BY day_of_month) AS amount_to_date,
        SUM(count) OVER (PARTITION BY month_key ORDER BY day_of_month) AS count_to_date
    FROM filled
)
SELECT
    d.day_key AS day,
    d.day_of_month,
    d.amount,
    d.amount_to_date,
    b.amount_to_date AS amount_before,
    d.count,
    d.count_to_date,
    b.count_to_date AS count_before
FROM summed AS d
JOIN requested AS a ON a.month = d.month
LEFT JOIN summed AS b ON b.month = d.month - 1 AND b.day_of_month = d.day_of_month
WHERE d.day_key <= a.day_key
ORDER BY day
