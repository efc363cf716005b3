"""What the tests of corpora share: the real data, adapters as the YAML files configure them, small WAVs."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from ser_lightning.config.components import TABLES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data() -> Path:
    folder = (ROOT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(f"{folder} not found: real EMO-DB and RAVDESS audio is needed")
    return folder


@pytest.fixture(scope="session")
def configured() -> Callable[..., Any]:
    """Return a function that makes an adapter from conf/corpus/NAME.yaml and overrides."""

    def make(choice: str, **overrides: Any) -> Any:
        values = yaml.safe_load((ROOT / f"conf/corpus/{choice}.yaml").read_text(encoding="utf-8"))
        module, _, name = TABLES["corpus"][values.pop("name")].partition(":")
        return getattr(import_module(module), name)(**(values | overrides))

    return make


@pytest.fixture(scope="session")
def wav() -> Callable[..., Path]:
    """Return a function that writes noise that `number` decides: a number of its own, audio of its own."""

    def write(path: Path, number: int = 0, peak: float = 0.5, frames: int = 800) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng(number).uniform(-peak, peak, frames)
        samples[: 1 if frames else 0] = peak
        soundfile.write(path, samples, 16_000, subtype="PCM_16")
        return path

    return write
