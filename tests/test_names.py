"""Names that look the same are one; names that nearly do are told."""

import unicodedata

import pytest

from ser_lightning.names import alike, clean

INVISIBLE = ["\u200b", "\u200d", "\ufeff", "\u00ad", "\u202a", "\u2066", "\u2060", "\ufe0f", "\x00", "\x1b"]
SPACES = [" ", "\t", "\n", "\u00a0", "\u2003", "\u3000", "\u2028"]


@pytest.mark.parametrize("mark", INVISIBLE)
def test_what_is_invisible_is_no_part_of_a_name(mark: str) -> None:
    assert clean(f"{mark}An{mark}na{mark}") == "Anna"


@pytest.mark.parametrize("space", SPACES)
def test_spaces_are_plain_and_only_inside(space: str) -> None:
    assert clean(f"{space}Anna{space}B{space}\u200b{space}") == "Anna B"


@pytest.mark.parametrize("name", ["Zoë", "Şükrü", "がんばる", "한국", "Ἀθῆναι", "naïve café", "[laughter]", "a/b", ""])
def test_the_forms_of_a_name_are_one_and_cleaning_twice_changes_nothing(name: str) -> None:
    forms = {clean(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")}
    assert forms == {unicodedata.normalize("NFC", name)} == {clean(clean(name))}


def test_other_names_stay_different() -> None:
    names = ["Zoë", "Zoe", "7", "07", "a b", "a  b", "Anna", "anna", "-1", "1"]
    assert len({clean(name) for name in names}) == len(names)


def test_names_alike() -> None:
    names = ["7", "007", "Anna", "anna", "s1", "s01", "S 1", "10", "100", "Straße", "STRASSE", "bert", "1.05", "1.5"]
    assert sorted(map(sorted, alike([*names, *names]))) == [
        ["007", "7"],
        ["Anna", "anna"],
        ["S 1", "s01", "s1"],
        ["STRASSE", "Straße"],
    ]
