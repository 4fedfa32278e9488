"""Wareki: the eras begin and end on the right days."""

from datetime import date

import pytest

from numpy_impl.text.wareki import era_of, short_wareki, wareki


@pytest.mark.parametrize("day, expected", [
    ((1873, 1, 1), "明治6年1月1日"),
    ((1912, 7, 29), "明治45年7月29日"),
    ((1912, 7, 30), "大正元年7月30日"),
    ((1912, 12, 31), "大正元年12月31日"),
    ((1913, 1, 1), "大正2年1月1日"),
    ((1926, 12, 24), "大正15年12月24日"),
    ((1926, 12, 25), "昭和元年12月25日"),
    ((1927, 1, 1), "昭和2年1月1日"),
    ((1989, 1, 7), "昭和64年1月7日"),
    ((1989, 1, 8), "平成元年1月8日"),
    ((2019, 4, 30), "平成31年4月30日"),
    ((2019, 5, 1), "令和元年5月1日"),
    ((2021, 3, 3), "令和3年3月3日"),
])
def test_days_at_the_borders_of_eras(day, expected):
    assert wareki(date(*day)) == expected


def test_short_form():
    assert short_wareki(date(2021, 3, 3)) == "R3.3.3"
    assert short_wareki(date(1989, 1, 7)) == "S64.1.7"


def test_each_era_begins_with_its_first_year():
    assert [era_of(date(year, 12, 31))[2] for year in (1912, 1926, 1989, 2019)] == [1, 1, 1, 1]


def test_days_before_the_gregorian_calendar_are_refused():
    with pytest.raises(ValueError, match="day is 1872-12-31"):
        wareki(date(1872, 12, 31))
