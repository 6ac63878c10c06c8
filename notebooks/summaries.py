import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Transaction summaries")


with app.setup:
    import sqlite3
    import sys
    from contextlib import closing
    from decimal import Decimal
    from pathlib import Path

    import altair as alt
    import marimo as mo
    import polars as pl
    import polars.selectors as cs
    from pymongo import MongoClient
    from pymongoarrow.api import Schema, find_polars_all

    # The program is next to this folder, unless it is installed. Jupyter starts a notebook in its own folder.
    sys.path.append(str((Path(__file__).parent if "__file__" in globals() else Path.cwd()).resolve().parent))

    from core.analysis import query_named, run_query
    from core.calendar import Mode, calendar_named
    from core.money import grouped
    from core.settings import read_settings
    from core.stores import open_stores
    from core.stores.mongo.layers import layer_queries_of_mode, layers_of

    COLUMNS = {"key": pl.String, "merchant_id": pl.String, "amount": pl.Int64, "count": pl.Int64}
    MOST_MERCHANTS = 1_000
    ROUNDED = cs.float().round(2)
    FONT = "Vazirmatn, Tahoma, DejaVu Sans, sans-serif"
    WEEKDAYS = {
        "Saturday": "شنبه",
        "Sunday": "یکشنبه",
        "Monday": "دوشنبه",
        "Tuesday": "سه\u200cشنبه",
        "Wednesday": "چهارشنبه",
        "Thursday": "پنجشنبه",
        "Friday": "جمعه",
    }
    PERSIAN_NUMBERS = {
        "decimal": "٫",
        "thousands": "٬",
        "grouping": [3],
        "currency": ["", ""],
        "numerals": list("۰۱۲۳۴۵۶۷۸۹"),
    }


@app.cell
def _():
    mo.md(r"""
    # Transaction summaries

    Charts of the summaries in the store `STORE_URL`, with the named queries of `sql/analysis`. The notebook never
    writes to the store. Start it with `make notebook`, or in any folder with
    `marimo edit PATH/notebooks/summaries.py`. `summaries.ipynb` is the same notebook for Jupyter; there, set the
    merchant and the language in the cells.
    """)
    return


@app.cell
def _():
    store_url = read_settings().store_url
    return (store_url,)


@app.cell
def _():
    language = mo.ui.radio({"English": "en", "فارسی": "fa"}, value="English", label="Labels", inline=True)
    language
    return (language,)


@app.cell
def _(language):
    locale = language.value
    return (locale,)


@app.cell
def _(store_url):
    stores = open_stores(store_url, timeout_s=30, create=False)
    publication = stores.summaries.published()
    mo.stop(publication is None, mo.md("Nothing is published yet: run `python -m jobs rebuild` first."))
    mo.stop(not publication.rows, mo.md("The publication has no summaries, because no transaction was counted."))
    calendar = calendar_named(publication.fingerprint.calendar)
    currency = publication.fingerprint.unit(read_settings().currency)
    scale = publication.fingerprint.amount_scale
    mo.md(
        f"Published: **{publication.first_day_key} to {publication.last_day_key}**, "
        f"{publication.total_count:,} transactions, {grouped(publication.total_amount, scale)} {currency}."
    )
    return calendar, currency, publication, scale, stores


@app.cell
def _(scale, stores):
    def in_major_units(frame: pl.DataFrame, *amounts: str) -> pl.DataFrame:
        """`frame` with the columns `amounts` in major units: sums as exact decimals, means as floats."""
        minor_unit = Decimal(1).scaleb(-scale)
        return frame.with_columns(
            (cs.by_name(*amounts) & cs.integer()).cast(pl.Decimal(38, scale)) * minor_unit,
            (cs.by_name(*amounts) & cs.float()) / 10**scale,
        )

    def ask(name: str, parameters: dict[str, object]) -> pl.DataFrame:
        """The answer of a named query, with amounts in major units."""
        amounts = [column.name for column in query_named(name).columns if column.is_amount]
        return in_major_units(run_query(stores.summaries, name, parameters), *amounts)

    return ask, in_major_units


@app.cell
def _(publication, stores):
    # The merchants with the largest amounts. For another merchant, set merchant_id in the next cell.
    _largest = sorted(stores.summaries.merchants(), key=lambda one: one.amount, reverse=True)[:MOST_MERCHANTS]
    assert stores.summaries.published() == publication, "there is a new publication: run all cells again"
    merchant = mo.ui.dropdown(
        {"all merchants together": None} | {one.merchant_id: one.merchant_id for one in _largest},
        value="all merchants together",
        label="Merchant",
        searchable=True,
    )
    merchant
    return (merchant,)


@app.cell
def _(merchant):
    merchant_id = merchant.value
    return (merchant_id,)


@app.cell
def _(merchant_id):
    of_merchant = {} if merchant_id is None else {"merchant_id": merchant_id}
    return (of_merchant,)


@app.cell
def _():
    mo.md(r"""
    ## All daily summaries as one DataFrame

    The next cell reads them from MongoDB with pymongoarrow, or from SQLite with one `SELECT`. In the rows of all
    merchants together, `merchant_id` is null: sum either these rows or the others. Other tools can read
    `summary_transaction` (on MongoDB a view, if the server supports views), or the view `summary_by_merchant`, which
    does not have the rows of all merchants together. Stores have amounts in minor units; this notebook shows major
    units.
    """)
    return


@app.cell
def _():
    def read_mongodb(url: str) -> pl.DataFrame:
        """The current daily summaries: a publication names the collections that it is made of."""
        schema = Schema({name: str if dtype == pl.String else int for name, dtype in COLUMNS.items()})
        with MongoClient(url) as client:
            db = client.get_default_database()
            current = db.summary_publications.find_one(sort=[("_id", -1)])
            frames = [
                find_polars_all(db[part.collection], part.query, schema=schema)
                for part in layer_queries_of_mode(layers_of(current), Mode.DAILY)
            ]
        return pl.concat(frames)

    def read_sqlite(url: str) -> pl.DataFrame:
        """The current daily summaries; one statement sees one published state."""
        sql = f"SELECT {', '.join(COLUMNS)} FROM summary_transaction WHERE mode = 'daily'"
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return pl.read_database(sql, connection, schema_overrides=COLUMNS)

    return read_mongodb, read_sqlite


@app.cell
def _(in_major_units, publication, read_mongodb, read_sqlite, store_url):
    _stored = read_mongodb(store_url) if store_url.startswith("mongodb") else read_sqlite(store_url)
    _total = _stored.filter(pl.col("merchant_id").is_null())["amount"].cast(pl.Int128).sum()
    assert _total == publication.total_amount, "there is a new publication: run all cells again"
    daily = in_major_units(_stored, "amount")
    mo.ui.table(daily.sort("key", "merchant_id").head(1_000), label="daily", page_size=5)
    return (daily,)


@app.cell
def _(calendar, currency, locale):
    # Axes and tooltips have Persian digits with Persian labels.
    alt.renderers.set_embed_options(format_locale=PERSIAN_NUMBERS if locale == "fa" else "en-US")

    # Drawn text runs from left to right unless it says otherwise: a day would stand behind its year.
    _begin, _end = ("\u202b", "\u202c") if locale == "fa" else ("", "")

    def say(english: str, persian: str) -> str:
        return persian if locale == "fa" else english

    def money_axis() -> alt.Axis:
        """Thousands, millions and billions in the words of the language."""
        words = {"k": " هزار", "M": " میلیون", "G": " میلیارد", "T": " هزار میلیارد"} if locale == "fa" else {"G": "B"}
        expression = "datum.label"
        for prefix, word in words.items():
            expression = f"replace({expression}, '{prefix}', '{word}')"
        expression_of_label = f"datum.value === 0 ? format(0, 'd') : '{_begin}' + {expression} + '{_end}'"
        unit = say(currency, {"IRR": "ریال", "IRT": "تومان"}.get(currency, currency))
        return alt.Axis(format="~s", labelExpr=expression_of_label, title=unit)

    def labelled(frame: pl.DataFrame, mode: Mode, column: str) -> pl.DataFrame:
        """`frame` with what people call the periods of `column`, as ``label``; decimals as floats, as charts need."""
        labels = [f"{_begin}{calendar.label(calendar.parse(mode, key), locale)}{_end}" for key in frame[column]]
        return frame.with_columns(cs.decimal().cast(pl.Float64), pl.Series("label", labels, pl.String))

    def styled(chart: alt.Chart | alt.LayerChart, title: str) -> alt.Chart:
        return chart.properties(title=title, width=540, height=240).configure(font=FONT)

    return labelled, money_axis, say, styled


@app.cell
def _():
    mo.md(r"""
    ## Months, and the top merchants of the last month
    """)
    return


@app.cell
def _(ask, of_merchant):
    monthly_growth = ask("monthly_growth", of_merchant)
    monthly_growth.with_columns(ROUNDED)
    return (monthly_growth,)


@app.cell
def _(labelled, money_axis, monthly_growth, say, styled):
    months_chart = styled(
        alt.Chart(labelled(monthly_growth, Mode.MONTHLY, "month"))
        .mark_bar()
        .encode(
            x=alt.X("label:N", sort=None, title=None, axis=alt.Axis(labelAngle=-40)),
            y=alt.Y("amount:Q", axis=money_axis()),
            opacity=alt.condition("datum.days_published < datum.days", alt.value(0.5), alt.value(1)),
            tooltip=[
                "label",
                alt.Tooltip("amount:Q", format=","),
                alt.Tooltip("amount_growth_percent:Q", format=".1f"),
            ],
        ),
        say("Amount by month; pale if days are missing", "مبلغ ماهانه؛ ماه ناقص کم\u200cرنگ است"),
    )
    months_chart
    return (months_chart,)


@app.cell
def _(ask):
    top_merchants = ask("top_merchants", {"limit": 12})
    top_merchants.with_columns(ROUNDED)
    return (top_merchants,)


@app.cell
def _(money_axis, say, styled, top_merchants):
    merchants_chart = styled(
        alt.Chart(top_merchants.with_columns(cs.decimal().cast(pl.Float64)))
        .mark_bar()
        .encode(
            x=alt.X("amount:Q", axis=money_axis()),
            y=alt.Y("merchant_id:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
            tooltip=["merchant_id", alt.Tooltip("amount:Q", format=","), alt.Tooltip("share_percent:Q", format=".1f")],
        ),
        say("Top merchants of the last month", "پذیرندگان برتر ماه گذشته"),
    )
    merchants_chart
    return (merchants_chart,)


@app.cell
def _():
    mo.md(r"""
    ## Days: the average week, and unusual days
    """)
    return


@app.cell
def _(ask, of_merchant):
    weekday_profile = ask("weekday_profile", of_merchant)
    weekday_profile.with_columns(ROUNDED)
    return (weekday_profile,)


@app.cell
def _(money_axis, say, styled, weekday_profile):
    weekdays_chart = styled(
        alt.Chart(
            weekday_profile.select(
                pl.col("weekday_name")
                .replace_strict({name: say(name, WEEKDAYS[name]) for name in WEEKDAYS})
                .alias("label"),
                "mean_amount",
                "share_percent",
            )
        )
        .mark_bar()
        .encode(
            x=alt.X("label:N", sort=None, title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("mean_amount:Q", axis=money_axis()),
            tooltip=[
                "label",
                alt.Tooltip("mean_amount:Q", format=",.0f"),
                alt.Tooltip("share_percent:Q", format=".1f"),
            ],
        ),
        say("Average amount of a day of the week", "میانگین مبلغ هر روز هفته"),
    )
    weekdays_chart
    return (weekdays_chart,)


@app.cell
def _(ask, of_merchant):
    unusual_days = ask("unusual_days", of_merchant)
    unusual_days.with_columns(ROUNDED)
    return (unusual_days,)


@app.cell
def _(daily, labelled, merchant_id, money_axis, say, styled, unusual_days):
    _chosen = daily.filter(pl.col("merchant_id").eq_missing(pl.lit(merchant_id, pl.String))).sort("key")
    _shown = labelled(_chosen, Mode.DAILY, "key").with_columns(
        is_unusual=pl.col("key").is_in(unusual_days["day"].to_list())
    )
    _months_begin = _shown.group_by(pl.col("key").str.head(7), maintain_order=True).first()["label"].to_list()
    _days = alt.Chart(_shown).encode(
        x=alt.X("label:N", sort=None, title=None, axis=alt.Axis(values=_months_begin, labelAngle=-40)),
        y=alt.Y("amount:Q", axis=money_axis()),
        tooltip=["label", alt.Tooltip("amount:Q", format=",")],
    )
    days_chart = styled(
        _days.mark_line(strokeWidth=1)
        + _days.transform_filter("datum.is_unusual").mark_point(color="#d62728", filled=True),
        say("Amount by day; unusual days are red", "مبلغ روزانه؛ روزهای نامعمول قرمز است"),
    )
    days_chart
    return (days_chart,)


@app.cell
def _(ask, of_merchant):
    month_to_date = ask("month_to_date", of_merchant)
    month_to_date
    return (month_to_date,)


@app.cell
def _(labelled, money_axis, month_to_date, say, styled):
    _this_month, _month_before = say("this month", "این ماه"), say("the month before", "ماه پیش")
    running_chart = styled(
        alt.Chart(
            labelled(month_to_date, Mode.DAILY, "day")
            .rename({"amount_to_date": _this_month, "amount_before": _month_before})
            .unpivot([_this_month, _month_before], index=["day_of_month", "label"], variable_name="which")
            .drop_nulls()
        )
        .mark_line()
        .encode(
            x=alt.X(
                "day_of_month:Q", title=say("day of the month", "روز ماه"), axis=alt.Axis(format="d", tickMinStep=1)
            ),
            y=alt.Y("value:Q", axis=money_axis()),
            color=alt.Color("which:N", title=None, sort=[_this_month, _month_before]),
            tooltip=["label", "which", alt.Tooltip("value:Q", format=",")],
        ),
        say("Month to date", "از ابتدای ماه تا امروز"),
    )
    running_chart
    return (running_chart,)


@app.cell
def _():
    mo.md(r"""
    ## Silent merchants
    """)
    return


@app.cell
def _(ask):
    silent_merchants = ask("silent_merchants", {"silent_days": 14})
    silent_merchants.with_columns(ROUNDED)
    return (silent_merchants,)


@app.cell
def _():
    mo.md(r"""
    ## Your own query

    Run any SQL of Polars on the DataFrame `daily`. This query counts the active merchants of each day:
    """)
    return


@app.cell
def _(daily):
    active_merchants = pl.SQLContext(daily=daily, eager=True).execute(
        "SELECT key AS day, COUNT(merchant_id) AS merchants FROM daily GROUP BY key ORDER BY day DESC LIMIT 7"
    )
    active_merchants
    return (active_merchants,)


if __name__ == "__main__":
    app.run()
