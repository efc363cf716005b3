"""Parameters that the schema would miss are refused; bases without any are not."""

from pathlib import Path

import pytest

from ser_lightning.config.signature import parameters

REFUSED = {
    "inherits_fields": (
        "@dataclass\nclass Base:\n    x: int = 3\n@dataclass\nclass C(Base):\n    y: int = 4\n",
        "inherits the parameter `x` from Base",
    ),
    "inherits_init": (
        "class Base(Module):\n    def __init__(self, streams, *, x: int = 3): ...\nclass C(Base):\n    pass\n",
        "inherits the parameter `x` from Base",
    ),
    "inherits_from_grandparent": (
        "@dataclasses.dataclass(frozen=True)\nclass A:\n    x: int = 3\nclass B(A): ...\nclass C(B[int]): ...\n",
        "inherits the parameter `x` from A",
    ),
    "positional": (
        "class C:\n    def __init__(self, streams, num_classes, width: int = 3, *, y: int = 4): ...\n",
        "parameter `width` of __init__ is positional",
    ),
    "positional_only": ("class C:\n    def __init__(self, width: int, /): ...\n", "parameter `width`"),
}


def read(folder: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (folder / f"unseen_{name}.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    return [p.name for p in parameters(f"unseen_{name}:C")]


@pytest.mark.parametrize("name", REFUSED)
def test_unseen_parameters_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, says = REFUSED[name]
    with pytest.raises(TypeError, match=says):
        read(tmp_path, name, source, monkeypatch)


SEEN = {
    "imported_base": "class C(nn.Module):\n    def __init__(self, streams, num_classes, *, y: int = 4): ...\n",
    "protocol": "class P(Protocol):\n    x: int\n@dataclass\nclass C(P):\n    y: int = 4\n",
    "class_variable": "@dataclass\nclass P:\n    x: ClassVar[int] = 1\n@dataclass\nclass C(P):\n    y: int = 4\n",
    "own_init": (
        "class P:\n    def __init__(self, *, x: int): ...\nclass C(P):\n    def __init__(self, *, y: int = 4): ...\n"
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_bases_without_parameters_are_fine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(tmp_path, name, SEEN[name], monkeypatch) == ["y"]
