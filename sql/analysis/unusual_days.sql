-- Days far from the average of the same weekday in the weeks before.
--
-- A day is far when it differs by `deviations` standard deviations (of a sample) or more. Where the weeks before were
-- all alike, every other value is far. Days with fewer than `weeks` such weeks since the first published day are not
-- judged; days without transactions are zero.
--
-- Parameters:
--   from         day = first     the first day judged
--   to           day = last      the last day judged
--   weeks        integer>=2 = 8  how many weeks before a day make its average
--   deviations   number>=0 = 3   from how many standard deviations on a day is far
--   merchant_id  merchant = all  one merchant instead of all together
-- Reads:
--   daily_series  [*, to]
-- Columns:
--   day             String   key of the day
--   weekday_name    String   English name of its weekday
--   amount          Int128   sum of its amounts, in CURRENCY
--   average         Float64  amount of this weekday in the weeks before, in CURRENCY
--   deviation       Float64  standard deviation of these, in CURRENCY
--   deviations      Float64  how many of these the day is above the average, negative below; null if there is none
--   change_percent  Float64  from the average to the day; null for an average of zero or less
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
