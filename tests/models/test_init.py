import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ser_lightning.config.components import TABLES
from ser_lightning.models.stream import StreamShape

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"


def preset(name: str) -> dict[str, Any]:
    values = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    inherited: dict[str, Any] = {}
    for other in values.pop("defaults", []):
        inherited |= preset(other)
    return inherited | values


def build(name: str, streams: dict[str, StreamShape]) -> torch.nn.Module:
    values = preset(name)
    module, attribute = TABLES["model"][values.pop("name")].split(":")
    model: torch.nn.Module = getattr(importlib.import_module(module), attribute)(streams, 4, **values)
    return model


# counts of the authors' logs
PAPER = {
    "paper_mfcc_lstm": 515_204,
    "paper_cnn_lstm_fine": 889_748,
    "paper_cnn_lstm_coarse": 1_299_348,
    "paper_cnn_lstm_two": 2_189_092,
    "paper_ds_lstm": 3_217_092,
    "paper_fused": 3_732_296,
    "paper_ds_lstm_large": 5_779_364,
    "paper_fused_large": 6_294_568,
}


@pytest.mark.parametrize("name", PAPER)
def test_paper_presets_have_the_published_number_of_parameters(
    name: str, paper_streams: dict[str, StreamShape]
) -> None:
    model = build(name, paper_streams)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == PAPER[name]


@pytest.mark.parametrize("name", ["mfcc_lstm", "cnn_lstm", "ds_lstm", "fused"])
def test_cpu_presets_are_small_and_take_any_length(name: str, streams: dict[str, StreamShape], make_batch: Any) -> None:
    model = build(name, streams)
    assert sum(p.numel() for p in model.parameters()) < 300_000
    features, lengths = make_batch(streams, [0.31, 0.05, 0.02])
    output = model(features, lengths)
    assert output.logits.shape == (3, 4)
    assert all(torch.isfinite(logits).all() for _, logits in output.heads)


def test_presets_are_all_tested_and_say_what_they_are() -> None:
    names = {path.stem for path in CONF.glob("*.yaml")}
    assert names == set(PAPER) | set(TABLES["model"])
    assert all((CONF / f"{name}.yaml").read_text().startswith("# ") for name in names)


def test_the_table_imports_no_torch() -> None:
    code = "import sys, ser_lightning.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
