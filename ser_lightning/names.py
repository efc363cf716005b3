"""Names of speakers, classes and utterances: one spelling for what looks the same, and which are almost the same."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""What Unicode ignores by default beside the control and format characters: joiners, fillers, variation selectors."""


def clean(name: str) -> str:
    """A name in NFC, without invisible characters, with plain spaces, none of them at its ends.

    Zero-width characters, byte order marks, soft hyphens and marks of direction come with text that is copied from web
    pages and spreadsheets; macOS writes file names in NFD. All of them make two names of one.
    """
    if name.isascii() and name.isprintable():
        return name.strip()
    seen = (_visible(letter) for letter in INVISIBLE.sub("", name))
    return unicodedata.normalize("NFC", "".join(seen).strip())


def _visible(letter: str) -> str:
    if letter.isspace():
        return " "
    return "" if unicodedata.category(letter) in ("Cc", "Cf") else letter


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ only in case, leading zeros, spaces or the width of letters; sorted."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        groups[_key(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _key(name: str) -> str:
    folded = "".join(unicodedata.normalize("NFKC", name).casefold().split())
    return re.sub(r"(?<![\d.])0+(?=\d)", "", folded)
