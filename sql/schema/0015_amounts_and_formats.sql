-- The currency and number of decimals of amounts (sums are in units of the last one), and the accepted formats besides numbers
-- and dates. Currency null: published before it was recorded, when amounts were whole numbers, and times dates.
ALTER TABLE summary_publications ADD COLUMN currency TEXT;
ALTER TABLE summary_publications ADD COLUMN amount_scale INTEGER NOT NULL DEFAULT 0;
ALTER TABLE summary_publications ADD COLUMN amount_text INTEGER NOT NULL DEFAULT 0;
ALTER TABLE summary_publications ADD COLUMN time_format TEXT NOT NULL DEFAULT '';
ALTER TABLE summary_publications ADD COLUMN text_zone TEXT NOT NULL DEFAULT '';
ALTER TABLE summary_publications ADD COLUMN csv_decimal_comma INTEGER NOT NULL DEFAULT 0;
ALTER TABLE summary_runs ADD COLUMN currency TEXT;
ALTER TABLE summary_runs ADD COLUMN amount_scale INTEGER NOT NULL DEFAULT 0;
ALTER TABLE summary_runs ADD COLUMN amount_text INTEGER NOT NULL DEFAULT 0;
ALTER TABLE summary_runs ADD COLUMN time_format TEXT NOT NULL DEFAULT '';
ALTER TABLE summary_runs ADD COLUMN text_zone TEXT NOT NULL DEFAULT '';
ALTER TABLE summary_runs ADD COLUMN csv_decimal_comma INTEGER NOT NULL DEFAULT 0;
