import pytest

from ser_lightning.errors import UserError
from ser_lightning.models.stream import StreamShape, pick


def test_pick_keeps_the_order_of_the_names() -> None:
    a, b, c = StreamShape(1, 0.1, None), StreamShape(2, 0.2, None), StreamShape(3, 0.3, 7)
    assert pick({"a": a, "b": b, "c": c}, ["c", "a"]) == [c, a]


def test_pick_names_what_is_missing_and_what_there_is() -> None:
    with pytest.raises(UserError, match=r"coarse.*only fine, mfcc"):
        pick({"mfcc": StreamShape(1, 0.1, None), "fine": StreamShape(2, 0.2, None)}, ["fine", "coarse"])
