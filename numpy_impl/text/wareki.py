"""Wareki: the Japanese way to count years, by the era of the emperor."""

from datetime import date

# The first day of each modern era, the number of the year that began there, its name and its letter.
# Japan took over the Gregorian calendar on 1 January 1873, within Meiji 6; earlier dates have no simple counterpart.
ERAS = (
    (date(2019, 5, 1), 1, "令和", "R"),
    (date(1989, 1, 8), 1, "平成", "H"),
    (date(1926, 12, 25), 1, "昭和", "S"),
    (date(1912, 7, 30), 1, "大正", "T"),
    (date(1873, 1, 1), 6, "明治", "M"),
)


def era_of(day):
    """Return name, letter and year of the era of the date `day`: 2021-03-03 gives ("令和", "R", 3).

    The era that is current now is taken to go on for ever.

    Raises:
        ValueError: `day` lies before 1873.
    """
    for start, first_year, name, letter in ERAS:
        if day >= start:
            return name, letter, day.year - start.year + first_year
    raise ValueError(f"day is {day}, must be 1873-01-01 or later, when Japan's calendar became Gregorian")


def wareki(day):
    """Return `day` in full: 令和3年3月3日. The first year of an era is written 元年."""
    name, _, year = era_of(day)
    return f"{name}{'元' if year == 1 else year}年{day.month}月{day.day}日"


def short_wareki(day):
    """Return `day` as in forms and on stamps: R3.3.3."""
    _, letter, year = era_of(day)
    return f"{letter}{year}.{day.month}.{day.day}"
