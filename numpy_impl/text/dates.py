"""Date translation: many written forms of a date, in four languages, to ISO and back."""

import re
from datetime import date, timedelta

from numpy_impl.text.date_forms import all_forms, demo_forms, iso, normalise
from numpy_impl.text.task import Example, Task
from numpy_impl.text.vocabulary import Vocabulary


class DateTask(Task):
    """Translate a date. The subject, and so the split, is the date: a held-out date is never seen in any form.

    Args:
        name: "dates" (the demo's forms) or "dates-full" (all forms, wareki and ISO to Japanese included).
        forms: the list of `DateForm`.
        first_year, last_year: the range of the dates, both included; at least eight years, in 1873..9999.
        vocabulary: that of a checkpoint; by default the symbols that the forms need.

    Raises:
        ValueError: the range of years is wrong.
    """

    def __init__(self, name, forms, first_year, last_year, vocabulary=None):
        if not 1873 <= first_year <= last_year - 7 <= 9992:
            raise ValueError(
                f"first_year and last_year are {first_year} and {last_year}, "
                "must span eight years or more within 1873..9999"
            )
        self.forms = forms
        self._weighted = [form for form in forms for _ in range(form.weight)]
        self.first_day, self.last_day = date(first_year, 1, 1), date(last_year, 12, 31)
        survey = self._survey()
        sources = [form.source(day) for form in forms for day in survey]
        targets = [form.target(day) for form in forms for day in survey]
        if vocabulary is None:
            marks = list(dict.fromkeys(form.mark for form in forms if form.mark))
            characters = set().union(*(text.rpartition(">")[2] for text in sources + targets))
            vocabulary = Vocabulary(marks + sorted(characters), f"the task {name}")
        super().__init__(
            name=name,
            options={"first_year": first_year, "last_year": last_year},
            vocabulary=vocabulary,
            max_source_length=max(len(vocabulary.encode(text)) for text in sources) + 1,
            max_target_length=max(len(vocabulary.encode(text)) for text in targets) + 1,
        )

    def draw(self, rng):
        """Return a random date of the range."""
        return self.first_day + timedelta(rng.randrange((self.last_day - self.first_day).days + 1))

    def example(self, subject, rng):
        """Return the date `subject` in a random form, with its translation."""
        form = rng.choice(self._weighted)
        return Example(form.source(subject), form.target(subject), form.name)

    def normalise(self, text):
        """Return `text` in NFKC, lower case and with single spaces; there is none behind a mark such as <en_us>.

        Raises:
            ValueError: day and month may be taken for each other, as in 3/4/2021.
        """
        text = normalise(text).replace("> ", ">")
        if re.search(r"\d/\d+/\d{4}", text) and not text.startswith("<"):
            marks = sorted({form.mark for form in self.forms if form.mark and form.target is iso})
            choices = " or ".join(mark + text for mark in marks)
            raise ValueError(f"text is {text!r}, must say which number is the day: write {choices}")
        return text

    def _survey(self):
        """Return dates that show all symbols and the greatest lengths: each day of a leap year, and each year's last.

        All names of months and weekdays occur, each pair of them with a day of two digits; so do all years and eras.
        """
        leap_year = next(year for year in range(self.last_day.year - 7, 10_000) if is_leap(year))
        days = [date(leap_year, 1, 1) + timedelta(n) for n in range(366)]
        return days + [date(year, 12, 31) for year in range(self.first_day.year, self.last_day.year + 1)]


def is_leap(year):
    """Return whether `year` has a 29th of February in the Gregorian calendar."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def dates(first_year=1950, last_year=2049, vocabulary=None):
    """Return the demo's task: the commonest forms in English, German, French and Japanese, to ISO."""
    return DateTask("dates", demo_forms(), first_year, last_year, vocabulary)


def dates_full(first_year=1873, last_year=2100, vocabulary=None):
    """Return the task of all forms: to ISO, and from ISO to Japanese ("<to_ja>") and to wareki ("<to_wareki>")."""
    return DateTask("dates-full", all_forms(), first_year, last_year, vocabulary)
