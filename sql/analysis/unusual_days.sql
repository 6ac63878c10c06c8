/*
about: |-
  Days that differ much from the average of the same weekday in the weeks before.

  A day is unusual if it differs from the average by at least `deviations` sample standard deviations. If the weeks
  before all have the same value, any other value is unusual. Days with fewer than `weeks` published weeks before them
  are left out. Days without transactions count as zero.
parameters:
- {name: from, kind: day, default: first, about: first day}
- {name: to, kind: day, default: last, about: last day}
- {name: weeks, kind: integer>=2, default: 8, about: number of weeks before a day that are averaged}
- {name: deviations, kind: number>=0, default: 3, about: minimum number of standard deviations}
- {name: merchant_id, kind: merchant, default: all, about: one merchant; by default all together}
reads:
- {table: daily_series, last: to}
columns:
- {name: day, kind: String, about: key of the day}
- {name: weekday_name, kind: String, about: English name of its weekday}
- {name: amount, kind: Int128, about: "sum of its amounts, in CURRENCY"}
- {name: average, kind: Float64, about: "average of this weekday in the weeks before, in CURRENCY"}
- {name: deviation, kind: Float64, about: "standard deviation of this weekday in the weeks before, in CURRENCY"}
- {name: deviations, kind: Float64, about: "standard deviations above the average, or below if negative; null if deviation is zero"}
- {name: change_percent, kind: Float64, about: difference from the average; null if the average is zero or less}
*/
WITH filled AS (
    SELECT d.day, d.day_key, d.weekday, d.weekday_name, COALESCE(s.amount, CAST(0 AS INT128)) AS amount
    FROM days AS d
    LEFT JOIN daily_series AS s ON s.key = d.day_key
),
-- Average the differences from the day itself. They are integers, so equal values differ by exactly zero.
measured AS (
    SELECT
        d.day_key,
        d.weekday_name,
        d.amount,
        AVG(d.amount - b.amount) AS distance,
        STDDEV(d.amount - b.amount) AS deviation
    FROM filled AS d
    JOIN filled AS b ON b.weekday = d.weekday
    CROSS JOIN parameters AS p
    WHERE d.day_key BETWEEN p."from" AND p."to" AND b.day < d.day AND b.day >= d.day - 7 * p.weeks
    GROUP BY d.day_key, d.weekday_name, d.amount, p.weeks
    HAVING COUNT(*) = p.weeks
),
compared AS (
    SELECT *, CAST(amount AS DOUBLE) - distance AS average
    FROM measured
)
SELECT
    c.day_key AS day,
    c.weekday_name,
    c.amount,
    c.average,
    c.deviation,
    CASE WHEN c.deviation > 0 THEN c.distance / c.deviation END AS deviations,
    CASE WHEN c.average > 0 THEN 100 * c.distance / c.average END AS change_percent
FROM compared AS c
CROSS JOIN parameters AS p
WHERE c.distance <> 0 AND ABS(c.distance) >= p.deviations * c.deviation
ORDER BY day
