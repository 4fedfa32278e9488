"""The written forms of a date: CLDR's patterns, English ordinals, wareki and ISO.

CLDR (the Unicode Common Locale Data Repository) says how each locale writes dates; babel holds its data. A pattern
such as "EEEE, d MMMM y" has a letter run for each field. (Unicode Technical Standard 35, part 4, section 8.)

A form is unambiguous, or it carries a mark in front. "03/04/2021" is the 4th of March in America and the 3rd of
April in Britain and France, so such forms begin with "<en_us>", "<en_gb>" or "<fr>". Years of two digits are left out.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Callable

from numpy_impl.text.wareki import short_wareki, wareki

LOCALES = ("en_US", "en_GB", "de", "fr", "ja")
WIDTHS = ("short", "medium", "long", "full")
# {nth} becomes st, nd, rd or th; text between apostrophes stands for itself.
ORDINAL_PATTERNS = (
    "d'{nth}' 'of' MMMM y",
    "MMMM d'{nth}', y",
    "d'{nth}' MMMM y",
    "'the' d'{nth}' 'of' MMMM, y",
    "d'{nth}' 'of' MMM y",
    "MMM d'{nth}', y",
    "EEEE, MMMM d'{nth}', y",
    "EEEE 'the' d'{nth}' 'of' MMMM y",
)


def normalise(text):
    """Return `text` in one spelling: NFKC, lower case, and single plain spaces.

    So "ＭＡＲＣＨ ３" and "March 3" are the same text, and CLDR's narrow no-break spaces become plain ones.
    Small letters only, because the model then has half as many letters to learn and the user may type either.
    """
    text = unicodedata.normalize("NFKC", text).lower()
    return " ".join(unicodedata.normalize("NFKC", text).split())


def iso(day):
    """Return `day` as YYYY-MM-DD (ISO 8601)."""
    return day.isoformat()


@dataclass(frozen=True)
class DateForm:
    """One way to write a date, and what it is to be translated into.

    `write` and `target` take a `datetime.date` and return a str; `mark` is the symbol in front of the source, or "".
    A form of weight 6 is drawn six times as often as one of weight 1.
    """

    name: str
    write: Callable[[date], str]
    mark: str = ""
    target: Callable[[date], str] = iso
    weight: int = 1

    def source(self, day):
        """Return the source text of `day`, normalised."""
        return self.mark + normalise(self.write(day))


def write_pattern(locale, pattern):
    """Return the function that writes a date by the CLDR `pattern` in `locale`."""
    from babel import Locale
    from babel.dates import parse_pattern

    parsed, locale = parse_pattern(pattern), Locale.parse(locale)
    return lambda day: parsed.apply(day, locale)


def cldr_pattern(locale, style):
    """Return CLDR's pattern of a `style`: a width ("short", ..., "full") or a skeleton such as "yMMMd"."""
    from babel import Locale

    data = Locale.parse(locale)
    return (data.date_formats if style in WIDTHS else data.datetime_skeletons)[style].pattern


def cldr_form(locale, pattern):
    """Return the form of a CLDR pattern, with the mark of its locale if the order of day and month is in doubt."""
    numeric = "MMM" not in pattern
    year_last = pattern.index("d") < pattern.index("y")
    dotted = "." in pattern  # 3.4.2021 is German, and means the 3rd of April
    mark = f"<{locale.lower()}>" if numeric and year_last and not dotted else ""
    return DateForm(f"{locale} {pattern}", write_pattern(locale, pattern), mark)


def cldr_forms(locale):
    """Return all forms that CLDR has for a whole date in `locale`: the four widths, and each fitting skeleton."""
    from babel import Locale

    whole_dates = (s for s in Locale.parse(locale).datetime_skeletons if set("yMd") <= set(s) <= set("GyMdE"))
    patterns = dict.fromkeys(cldr_pattern(locale, style) for style in [*WIDTHS, *sorted(whole_dates)])
    two_digit_year = re.compile("(?<!y)yy(?!y)")
    return [cldr_form(locale, pattern) for pattern in patterns if not two_digit_year.search(pattern)]


def ordinal_form(pattern):
    """Return the English form of one of `ORDINAL_PATTERNS`: 3rd of March 2021."""
    writers = {nth: write_pattern("en", pattern.format(nth=nth)) for nth in ("st", "nd", "rd", "th")}
    return DateForm(f"en {pattern}", lambda day: writers[ordinal_suffix(day.day)](day))


def ordinal_suffix(number):
    """Return "st", "nd", "rd" or "th": 1st, 2nd, 3rd, 4th, 11th, 12th, 13th, 21st."""
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def demo_forms():
    """Return the forms that a small model learns in a minute: the commonest of each language, to ISO."""
    styles = {
        "en_US": ("medium", "long", "yMd"),
        "en_GB": ("medium", "long", "yMd"),
        "de": ("medium", "long", "yMd", "yMMMEd"),
        "fr": ("medium", "long", "yMMMEd"),
        "ja": ("medium", "long", "yMd", "yMMMEd"),
    }
    patterns = [(locale, cldr_pattern(locale, style)) for locale in styles for style in styles[locale]]
    forms = [cldr_form(locale, pattern) for locale, pattern in patterns]
    return forms + [ordinal_form(pattern) for pattern in ORDINAL_PATTERNS[:3]] + [DateForm("ISO", iso)]


def all_forms():
    """Return every form: all of CLDR's, all ordinals and wareki to ISO; ISO to Japanese and to wareki."""
    forms = [form for locale in LOCALES for form in cldr_forms(locale)]
    forms += [ordinal_form(pattern) for pattern in ORDINAL_PATTERNS]
    japanese = write_pattern("ja", cldr_pattern("ja", "long"))
    # The dozens of forms above are much alike; these few are not, and weigh more.
    return forms + [
        DateForm("ISO", iso),
        DateForm("wareki", wareki, weight=6),
        DateForm("wareki short", short_wareki, weight=6),
        DateForm("ISO to Japanese", iso, mark="<to_ja>", target=japanese, weight=6),
        DateForm("ISO to wareki", iso, mark="<to_wareki>", target=wareki, weight=6),
    ]
