/*
about: |-
  The merchants with the highest amounts or counts of a day, week or month.

  Merchants with equal values share a place. All merchants in the last place are shown.
parameters:
- {name: period, kind: period, default: last, about: "a day, a week or a month; by default the last month"}
- {name: by, kind: amount|count, default: amount, about: rank by amount or by count}
- {name: limit, kind: integer>=1, default: 10, about: number of places to show}
- {name: locale, kind: fa|en, default: fa, about: language of names}
reads:
- {table: daily, first: period, last: period}
- {table: weekly, first: period, last: period}
- {table: monthly, first: period, last: period}
columns:
- {name: place, kind: Int64, about: rank; 1 is the highest}
- {name: merchant_id, kind: String, about: the merchant}
- {name: amount, kind: Int128, about: "sum of its amounts, in CURRENCY; refunds lower it"}
- {name: count, kind: Int64, about: number of its transactions}
- {name: mean_amount, kind: Float64, about: "amount per transaction, in CURRENCY"}
- {name: share_percent, kind: Float64, about: "share of the total of all merchants; null if that is zero or less"}
- {name: merchant_name, kind: String, about: "name in that language, or else in the other; null if it has none"}
*/
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
    t.merchant_id,
    amount,
    count,
    CAST(amount AS DOUBLE) / CAST(count AS DOUBLE) AS mean_amount,
    CASE
        WHEN all_together > 0 THEN 100 * CAST(ranked AS DOUBLE) / CAST(all_together AS DOUBLE)
    END AS share_percent,
    CASE WHEN p.locale = 'en' THEN n.en ELSE n.fa END AS merchant_name
FROM placed AS t
CROSS JOIN parameters AS p
LEFT JOIN merchant_names AS n ON n.merchant_id = t.merchant_id
WHERE place <= p."limit"
ORDER BY place, t.merchant_id
