"""The table of corpora: every name loads, every choice has its YAML, and none of it needs torch."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ser_lightning.config.components import TABLES

CONF = Path(__file__).resolve().parents[2] / "conf/corpus"


def test_nothing_heavy_is_imported() -> None:
    modules = [place.partition(":")[0] for place in TABLES["corpus"].values()]
    imports = ", ".join(["sys", "ser_lightning.corpora.scan", *modules])
    code = f"import {imports}; print({{'torch', 'scipy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_choice_names_a_corpus_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert yaml.safe_load(text)["name"] in TABLES["corpus"]


@pytest.mark.parametrize(("name", "number"), [("emodb", 7), ("ravdess", 8), ("savee", 7), ("demo", 4)])
def test_every_class_has_one_code(name: str, number: int) -> None:
    values = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    assert len(set(values["classes"])) == number
    assert sorted(values["labels"].values()) == sorted(values["classes"])
