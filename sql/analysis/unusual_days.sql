/*
about: |-
  Days far from the average of the same weekday in the weeks before.

  A day is far when it differs by `deviations` standard deviations (of a sample) or more. Where the weeks before were
  all alike, every other value is far. Days with fewer than `weeks` such weeks since the first published day are not
  judged; days without transactions are zero.
parameters:
- {name: from, kind: day, default: first, about: the first day judged}
- {name: to, kind: day, default: last, about: the last day judged}
- {name: weeks, kind: integer>=2, default: 8, about: how many weeks before a day make its average}
- {name: deviations, kind: number>=0, default: 3, about: from how many standard deviations on a day is far}
- {name: merchant_id, kind: merchant, default: all, about: one merchant instead of all together}
reads:
- {table: daily_series, last: to}
columns:
- {name: day, kind: String, about: key of the day}
- {name: weekday_name, kind: String, about: English name of its weekday}
- {name: amount, kind: Int128, about: "sum of its amounts, in CURRENCY"}
- {name: average, kind: Float64, about: "amount of this weekday in the weeks before, in CURRENCY"}
- {name: deviation, kind: Float64, about: "standard deviation of these, in CURRENCY"}
- {name: deviations, kind: Float64, about: "how many of these the day is above the average, negative below; null if there is none"}
- {name: change_percent, kind: Float64, about: from the average to the day; null for an average of zero or less}
*/
WITH filled AS (
    SELECT d.day, d.day_key, d.weekday, d.weekday_name, COALESCE(s.amount, CAST(0 AS INT128)) AS amount
    FROM days AS d
    LEFT JOIN daily_series AS s ON s.key = d.day_key
),
-- What is averaged is the difference from the day itself: integers, so that equal values differ by exactly zero.
judged AS (
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
    FROM judged
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
