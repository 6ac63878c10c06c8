/*
about: |-
  Merchants that used to have transactions and have none any more.

  Lists merchants that had transactions on at least `active_days` days, but none in the last `silent_days` days up to
  `to`.
parameters:
- {name: to, kind: day, default: last, about: last day to examine; at most the last published day}
- {name: silent_days, kind: integer>=1, default: 30, about: minimum number of days without transactions}
- {name: active_days, kind: integer>=1, default: 2, about: minimum number of days with transactions}
- {name: locale, kind: fa|en, default: fa, about: language of names}
reads:
- {table: daily, last: to}
columns:
- {name: merchant_id, kind: String, about: the merchant}
- {name: last_day, kind: String, about: key of the last day with transactions}
- {name: silent_days, kind: Int64, about: days from that day to `to`}
- {name: usual_gap, kind: Float64, about: average days from one day with transactions to the next; null if there is only one}
- {name: active_days, kind: Int64, about: number of days with transactions}
- {name: amount, kind: Int128, about: "sum of its amounts, in CURRENCY"}
- {name: count, kind: Int64, about: number of its transactions}
- {name: merchant_name, kind: String, about: "name in that language, or else in the other; null if it has none"}
*/
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
requested AS (
    SELECT MAX(d.day) AS day
    FROM days AS d
    CROSS JOIN parameters AS p
    WHERE d.day_key <= p."to"
),
dated AS (
    SELECT m.*, a.day - m.last_day AS silent
    FROM merchants AS m
    CROSS JOIN requested AS a
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
    m.count,
    CASE WHEN p.locale = 'en' THEN n.en ELSE n.fa END AS merchant_name
FROM dated AS m
CROSS JOIN parameters AS p
LEFT JOIN merchant_names AS n ON n.merchant_id = m.merchant_id
WHERE m.silent >= p.silent_days AND m.active_days >= p.active_days
ORDER BY amount DESC, m.merchant_id
