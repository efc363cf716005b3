"""The schema read from source equals the constructors that it feeds."""

import dataclasses
import inspect
import typing
from pathlib import Path

import pytest

from ser_lightning.config.components import TABLES, load
from ser_lightning.config.signature import parameters

# A learner is given the whole configuration; it has no section, so no schema of its own.
ALL = [(kind, name, path) for kind, table in TABLES.items() if kind != "learner" for name, path in table.items()]


@pytest.mark.parametrize(("kind", "name", "path"), ALL)
def test_schema_equals_constructor(kind: str, name: str, path: str) -> None:
    constructor = load(path)
    hints = typing.get_type_hints(constructor if dataclasses.is_dataclass(constructor) else constructor.__init__)
    positional = {"self", "streams", "num_classes"}
    real = {n: p for n, p in inspect.signature(constructor).parameters.items() if n not in positional}
    read = {p.name: p for p in parameters(path)}
    assert list(read) == list(real)
    for parameter_name, parameter in read.items():
        assert parameter.type == hints[parameter_name]
        assert parameter.default == _default(constructor, parameter_name, real[parameter_name].default)


def _default(constructor: typing.Any, name: str, default: object) -> object:
    if dataclasses.is_dataclass(constructor):
        field = {f.name: f for f in dataclasses.fields(constructor)}[name]
        return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return dataclasses.MISSING if default is inspect.Parameter.empty else default


@pytest.mark.parametrize(("kind", "name", "path"), ALL)
def test_every_parameter_says_what_it_means(kind: str, name: str, path: str) -> None:
    assert [p.name for p in parameters(path) if not p.doc] == []


def test_what_a_configuration_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_component.py").write_text("class Odd:\n    def __init__(self, *, x: Path = 3) -> None: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match="parameter `x`"):
        parameters("odd_component:Odd")
