/*
about: |-
  The average of each day of the week.

  All days from `from` to `to` are included, even if they have no transactions.
parameters:
- {name: from, kind: day, default: first, about: first day}
- {name: to, kind: day, default: last, about: last day}
- {name: merchant_id, kind: merchant, default: all, about: one merchant; by default all together}
reads:
- {table: daily_series, first: from, last: to}
columns:
- {name: weekday, kind: Int64, about: "day of the week: 1 is Saturday in the Jalali calendar, Monday in the Gregorian"}
- {name: weekday_name, kind: String, about: English name of the weekday}
- {name: days, kind: Int64, about: number of days with this weekday}
- {name: amount, kind: Int128, about: "sum of the amounts of these days, in CURRENCY"}
- {name: mean_amount, kind: Float64, about: "average amount per day, in CURRENCY"}
- {name: share_percent, kind: Float64, about: share of the amount of all days; null if that is zero or less}
- {name: count, kind: Int64, about: number of transactions of these days}
- {name: mean_count, kind: Float64, about: average number of transactions per day}
*/
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
