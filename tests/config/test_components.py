"""Building components: what their constructors refuse, and what plug-ins add."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from ser_lightning.config import components
from ser_lightning.config.components import TABLES, build, table, target
from ser_lightning.config.compose import compose
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.models.stream import StreamShape

STREAMS = {"mfcc": StreamShape(13, 0.01, None)}


def test_what_torch_refuses_names_the_component() -> None:
    with pytest.raises(ConfigError, match=r"^model `mfcc_lstm`: dropout .* 0 and 1, but got 1\.5") as caught:
        build("model", {"name": "mfcc_lstm", "dropout": 1.5}, STREAMS, 4)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_wrong_keyword_names_the_component() -> None:
    with pytest.raises(ConfigError, match=r"^split `kfold`: .*folds"):
        build("split", {"name": "kfold", "folds": 3})


def test_what_a_component_says_itself_passes_through() -> None:
    with pytest.raises(UserError, match="reads the stream") as caught:
        build("model", {"name": "mfcc_lstm", "stream": "none"}, STREAMS, 4)
    assert type(caught.value) is UserError


def plug_in(monkeypatch: pytest.MonkeyPatch, kind: str, name: str, value: str) -> None:
    point = EntryPoint(name, value, f"ser_lightning.{kind}")

    def found(group: str) -> list[Any]:
        return [point] if group == point.group else []

    monkeypatch.setattr(components, "entry_points", found)


def test_a_plug_in_adds_a_component(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, "split", "mine", "ser_lightning.data.splits:KFold")
    assert target("split", "mine") == "ser_lightning.data.splits:KFold"
    assert target("split", "kfold") == TABLES["split"]["kfold"]
    assert set(table("split")) == {*TABLES["split"], "mine"}
    assert "mine" not in table("model")


def test_a_plug_in_that_hides_a_built_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, "model", "fused", "theirs.models:Other")
    with pytest.raises(ConfigError) as caught:
        compose(["corpus=demo", "model=ds_lstm"])
    assert "model `fused`" in str(caught.value)
    assert "theirs.models:Other" in str(caught.value)
    assert TABLES["model"]["fused"] in str(caught.value)
