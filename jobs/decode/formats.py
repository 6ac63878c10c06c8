"""Options for amounts and times that are not integers and dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.calendar.zones import is_zone
from core.errors import UsageError

MAX_SCALE: Final = 9
ISO: Final = "iso"
EPOCH_S: Final = "epoch-s"
EPOCH_MS: Final = "epoch-ms"

ANY_SPACE: Final = -1
"""The step for white space; other steps are the letter of a directive, or `LITERAL` and a byte."""
LITERAL: Final = 256
_DIRECTIVES: Final = "YymdjHIMSfpbBaAz"
_DATES: Final = (("Y", "m", "d"), ("Y", "b", "d"), ("Y", "j"))
_SAME: Final = {"y": "Y", "B": "b", "A": "a"}
DELIMITERS: Final = (",", ";", "\t", "|")
"""Delimiters of CSV that are detected without an option."""
_TABS: Final = {"tab": "\t", r"\t": "\t"}


@dataclass(frozen=True, slots=True)
class Formats:
    """The forms of amounts and times that are accepted besides integers and dates.

    :param amount_scale: decimal places of amounts, 0 to 9; summaries are in units of the last place.
    :param amount_text: whether text such as ``"-12.50"`` and ``"۱۲٫۵"`` is an amount.
    :param time_format: ``iso``, ``epoch-s``, ``epoch-ms`` or a pattern of `time.strptime`; None: only dates, and in
        CSV ISO 8601 with an offset.
    :param text_zone: IANA time zone of text without an offset; None: such text is rejected.
    :param takes_earlier: whether ambiguous text (clocks were put back) means the earlier instant, else it is rejected.
        This changes no sum if days are those of `text_zone`.
    :param csv_delimiter: separator of CSV fields; None: detected in the header.
    :param csv_decimal_comma: whether amounts in CSV have a decimal comma instead of a point.
    """

    amount_scale: int = 0
    amount_text: bool = False
    time_format: str | None = None
    text_zone: str | None = None
    takes_earlier: bool = False
    csv_delimiter: str | None = None
    csv_decimal_comma: bool = False

    @property
    def converts(self) -> bool:
        """Whether amounts or times need `jobs.decode.conversion`."""
        return bool(self.amount_scale or self.amount_text) or self.time_format is not None

    def require_possible(self) -> None:
        """Raise if an option is invalid or contradicts another.

        :raises UsageError: names the option.
        """
        if not 0 <= self.amount_scale <= MAX_SCALE:
            raise UsageError(
                f"--amount-scale {self.amount_scale} must be 0 to {MAX_SCALE}", "For example, 2 for cents."
            )
        delimiter = self.csv_delimiter
        if delimiter is not None and delimiter != "\t" and not (len(delimiter) == 1 and " " < delimiter <= "~"):
            raise UsageError(
                f"--csv-delimiter {delimiter!r} is not a delimiter", "Use one ASCII character such as ';', or tab."
            )
        if delimiter is not None and (delimiter.isalnum() or delimiter in '"-+.'):
            raise UsageError(
                f"--csv-delimiter {delimiter!r} may occur in values", "Use a character such as ';' or '|', or tab."
            )
        if self.text_zone is not None:
            self._require_zone(self.text_zone)
        if self.time_format is not None and self.time_format not in (ISO, EPOCH_S, EPOCH_MS):
            self._require_pattern(self.time_format)

    def _require_zone(self, zone: str) -> None:
        if not is_zone(zone):
            raise UsageError(f"--time-zone-of-text {zone} is not a time zone", "Use an IANA name such as Asia/Tehran.")
        if self.time_format in (None, EPOCH_S, EPOCH_MS):
            raise UsageError(
                "--time-zone-of-text needs a --time-format of text with a date and a time of day",
                "Add --time-format iso, or a pattern such as --time-format '%Y/%m/%d %H:%M:%S'.",
            )

    def _require_pattern(self, pattern: str) -> None:
        has_offset = ord("z") in steps_of(pattern)
        if has_offset and self.text_zone is not None:
            raise UsageError(
                f"--time-format {pattern!r} has an offset (%z), so --time-zone-of-text has no effect",
                "Omit one of them.",
            )
        if not has_offset and self.text_zone is None:
            raise UsageError(
                f"--time-format {pattern!r} has no offset (%z)",
                "Give the time zone of the text with --time-zone-of-text, such as Asia/Tehran.",
            )


def option_words(options: Mapping[str, object]) -> list[str]:
    """The command line for `options` by name, without those that are None, False, empty or 0; True is a flag."""
    given = [(name,) if value is True else (name, str(value)) for name, value in options.items() if value]
    return [word for words in given for word in words]


def format_words(formats: Formats) -> list[str]:
    """`formats` as command-line options, without defaults."""
    return option_words(
        {
            "--amount-scale": formats.amount_scale,
            "--amount-text": formats.amount_text,
            "--time-format": formats.time_format,
            "--time-zone-of-text": formats.text_zone,
            "--csv-delimiter": "tab" if formats.csv_delimiter == "\t" else formats.csv_delimiter,
            "--csv-decimal-comma": formats.csv_decimal_comma,
        }
    )


def delimiter_named(text: str) -> str:
    """The delimiter of an option's text: ``tab`` is a tab."""
    return _TABS.get(text, text)


def steps_of(pattern: str) -> tuple[int, ...]:
    """A pattern of `time.strptime` as steps for the compiled parser.

    :raises UsageError: a directive is not supported, or occurs twice; or the pattern has no date.

    >>> steps_of("%Y-%m") == ()
    Traceback (most recent call last):
    ...
    core.errors.UsageError: --time-format '%Y-%m' has no date
    """
    steps: list[int] = []
    seen: set[str] = set()
    letters = iter(pattern)
    for letter in letters:
        if letter.isspace():
            if steps[-1:] != [ANY_SPACE]:
                steps.append(ANY_SPACE)
        elif letter != "%":
            steps += [LITERAL + byte for byte in letter.encode()]
        elif (directive := next(letters, "")) == "%":
            steps.append(LITERAL + ord("%"))
        elif not directive or directive not in _DIRECTIVES:
            raise UsageError(
                f"--time-format {pattern!r}: %{directive} is not supported",
                f"Use {ISO}, {EPOCH_S}, {EPOCH_MS}, or a pattern of these: %{' %'.join(_DIRECTIVES)} and %%.",
            )
        elif _SAME.get(directive, directive) in seen:
            raise UsageError(f"--time-format {pattern!r} has %{directive} or an equivalent twice", "Omit one of them.")
        else:
            seen.add(_SAME.get(directive, directive))
            steps.append(ord(directive))
    if sum(seen.issuperset(date) for date in _DATES) != 1 or ("b" in seen and "m" in seen):
        raise UsageError(
            f"--time-format {pattern!r} has no date",
            f"Use {ISO}, {EPOCH_S}, {EPOCH_MS}, or a pattern with year, month and day such as '%Y/%m/%d %H:%M:%S'.",
        )
    if ("I" in seen) != ("p" in seen) or {"H", "I"} <= seen:
        raise UsageError(
            f"--time-format {pattern!r} must have both %I and %p, or only %H",
            "%H is the hour of 24, %I the hour of 12 with %p.",
        )
    return tuple(steps)
