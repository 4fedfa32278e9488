"""Date translation: the renderings, the unambiguity of the forms, and what a user may type."""

import random
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_impl.text.date_forms import normalise, ordinal_suffix
from numpy_impl.text.tasks import make_task

DAY = date(2021, 3, 3)
TASKS = {name: make_task(name) for name in ("dates", "dates-full")}
both = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@pytest.mark.parametrize("name, sources", {
    "dates": [
        "march 3, 2021", "mar 3, 2021", "<en_us>3/3/2021", "3 march 2021",
        "<en_gb>03/03/2021", "3. märz 2021", "03.03.2021", "3 mars 2021", "2021/03/03", "2021年3月3日",
        "2021年3月3日(水)", "2021-03-03", "3rd of march 2021", "march 3rd, 2021",
    ],
    "dates-full": [
        "wednesday, march 3, 2021", "mittwoch, 3. märz 2021", "mercredi 3 mars 2021", "<fr>03/03/2021",
        "wed, mar 3, 2021", "2021年3月3日水曜日", "令和3年3月3日", "r3.3.3", "the 3rd of march, 2021",
        "<to_ja>2021-03-03", "<to_wareki>2021-03-03",
    ],
}.items())
def test_well_known_renderings(name, sources):
    written = {form.source(DAY) for form in TASKS[name].forms}
    assert set(sources) <= written


def test_targets():
    targets = {form.mark: form.target(DAY) for form in TASKS["dates-full"].forms}
    assert targets == {"": "2021-03-03", "<en_us>": "2021-03-03", "<en_gb>": "2021-03-03", "<fr>": "2021-03-03",
                       "<to_ja>": "2021年3月3日", "<to_wareki>": "令和3年3月3日"}
    assert {form.target(DAY) for form in TASKS["dates"].forms} == {"2021-03-03"}


def test_full_has_every_form_of_the_demo():
    sources = {name: {form.source(DAY) for form in task.forms} for name, task in TASKS.items()}
    assert sources["dates"] <= sources["dates-full"]
    assert len({form.name for form in TASKS["dates-full"].forms}) == len(TASKS["dates-full"].forms)


def test_ordinal_suffixes():
    assert "".join(ordinal_suffix(n) for n in range(1, 32)) == "stndrd" + "th" * 17 + "stndrd" + "th" * 7 + "st"


def all_days(*years):
    return [date(year, 1, 1) + timedelta(n) for year in years for n in range(366)]


@pytest.mark.parametrize("name, years", [
    ("dates", range(1950, 2050, 4)),
    # The years in which eras change, both ends of the range, and years that might be taken for a day and a month.
    ("dates-full", (1873, 1912, 1926, 1989, 2001, 2012, 2019, 2031, 2100)),
])
def test_no_source_has_two_targets(name, years):
    targets = {}
    for form in TASKS[name].forms:
        for day in all_days(*years):
            source, target = form.source(day), form.target(day)
            assert targets.setdefault(source, target) == target, (form.name, source)
    assert len(targets) > 9 * 365 * 15


@given(st.dates(date(1950, 1, 1), date(2049, 12, 31)), st.integers(0, 10**6))
def test_every_year_keeps_its_four_digits(day, seed):
    example = TASKS["dates"].example(day, random.Random(seed))
    assert f"{day.year}" in example.source and example.target == f"{day:%Y-%m-%d}"


@both
@given(seed=st.integers(0, 10**9))
def test_vocabulary_and_maxima_cover_every_example(task, seed):
    rng = random.Random(seed)
    example = task.sample("train", rng)
    assert len(task.encode_source(example.source)) <= task.max_source_length
    assert len(task.vocabulary.encode(example.target)) < task.max_target_length
    assert task.normalise(example.source) == example.source


@both
def test_vocabulary_holds_nothing_superfluous(task):
    texts = [text for form in task.forms for day in all_days(1912, 1952, 1968, 1989, 2019)
             for text in (form.source(day), form.target(day))]
    used = {symbol for text in texts for symbol in task.vocabulary.encode(text)}
    assert used | {0, 1, 2} >= set(range(len(task.vocabulary)))


def test_demo_is_small():
    task = TASKS["dates"]
    assert task.max_source_length <= 33 and task.max_target_length == 11 and len(task.forms) >= 20


@both
def test_dates_lie_in_the_range_and_reach_all_years(task):
    rng = random.Random(1)
    days = [task.draw(rng) for _ in range(5000)]
    assert {day.year for day in days} == set(range(task.options["first_year"], task.options["last_year"] + 1))


def test_first_and_last_day_are_drawn():
    task = make_task("dates", first_year=2000, last_year=2007)
    rng = random.Random(2)
    days = {task.draw(rng) for _ in range(40_000)}
    assert (min(days), max(days)) == (date(2000, 1, 1), date(2007, 12, 31))


@pytest.mark.parametrize("typed, read", [
    ("  3RD of\tMarch  2021 ", "3rd of march 2021"),
    ("ＭＡＲ ３, ２０２１", "mar 3, 2021"),
    ("<en_US> 3/4/2021", "<en_us>3/4/2021"),
    ("3\u202fmars\u00a02021", "3 mars 2021"),
    ("2021年3月3日（水）", "2021年3月3日(水)"),
    ("3. Ma\u0308rz 2021", "3. märz 2021"),
    ("2021/3/4", "2021/3/4"),
])
def test_typed_text_is_normalised(typed, read):
    assert TASKS["dates"].normalise(typed) == read


def test_era_in_one_character_is_read():
    assert TASKS["dates-full"].normalise("㋿3年3月3日") == "令和3年3月3日"


@given(st.text(alphabet="aZ3 ３Ä年㋿㋂\u00a0\u202f\t,ﬁⅢ", max_size=20))
def test_normalising_twice_is_normalising_once(text):
    assert normalise(normalise(text)) == normalise(text)


def test_ambiguous_text_is_refused():
    with pytest.raises(ValueError, match="write <en_gb>03/04/2021 or <en_us>03/04/2021$"):
        TASKS["dates"].normalise("03/04/2021")
    with pytest.raises(ValueError, match="or <fr>wed, 3/4/2021$"):
        TASKS["dates-full"].normalise("Wed, 3/4/2021")


def test_unknown_character_is_named():
    with pytest.raises(ValueError, match=r"'ñ' \(U\+00F1\) at position 4 .* the task dates has"):
        TASKS["dates"].encode_source("3rd ñ")
    with pytest.raises(ValueError, match="symbols long, must have at most"):
        TASKS["dates"].encode_source("3" * 40)


def test_vocabulary_of_a_checkpoint_is_used_as_it_is():
    task = TASKS["dates-full"]
    again = make_task("dates", vocabulary=task.vocabulary, **TASKS["dates"].options)
    assert again.vocabulary is task.vocabulary
    ids = [t.encode_source("3 mars 2021") for t in (again, task, TASKS["dates"])]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("years", [(1872, 1990), (2000, 2006), (2010, 2000), (2000, 10_000)])
def test_bad_ranges_are_refused(years):
    with pytest.raises(ValueError, match=f"first_year and last_year are {years[0]} and {years[1]}, must"):
        make_task("dates", first_year=years[0], last_year=years[1])
