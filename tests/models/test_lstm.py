"""The LSTM under bfloat16 autocast, on processors that have one in bfloat16 and on those that have none."""

import os
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from ser_lightning.models import lstm
from ser_lightning.models.lstm import LSTM, adapt, has_bfloat16

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
"""What makes a processor with AVX-512 compute as one that has AVX2 alone."""


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that has no LSTM in bfloat16."""
    monkeypatch.setattr(lstm, "has_bfloat16", lambda: False)


def low(model: nn.Module, *inputs: object) -> object:
    with torch.autocast("cpu", torch.bfloat16):
        return model(*inputs)


def test_without_one_it_computes_in_float32(without: None) -> None:
    model, sequence = LSTM(7, 5, 2, batch_first=True), torch.randn(3, 6, 7)
    states = torch.randn(2, 2, 3, 5)
    expected, (h, c) = model(sequence.bfloat16().float(), tuple(states.bfloat16().float()))
    found, last = low(model, sequence.bfloat16(), tuple(states.bfloat16()))  # type: ignore[misc]
    torch.testing.assert_close((found, *last), (expected, h, c), rtol=0, atol=0)


def test_without_one_packed_sequences_and_gradients_are_those_of_float32(without: None) -> None:
    model, packed = LSTM(7, 5), pack_sequence([torch.randn(6, 7), torch.randn(2, 7)])
    expected = torch.autograd.grad(model(packed)[0].data.sum(), list(model.parameters()))
    found = torch.autograd.grad(low(model, packed)[0].data.sum(), list(model.parameters()))  # type: ignore[index]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_elsewhere_it_is_torch_s_own() -> None:
    ours, sequence = LSTM(7, 5), torch.randn(6, 3, 7)
    theirs = nn.LSTM(7, 5)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(sequence), theirs(sequence), rtol=0, atol=0)
    if has_bfloat16():
        found, expected = low(ours, sequence), low(theirs, sequence)
        assert found[0].dtype == torch.bfloat16  # type: ignore[index]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_model_of_someone_else_s_is_adapted(without: None) -> None:
    class Mine(nn.LSTM):
        """One that knows what it does."""

    model = nn.ModuleDict({"plain": nn.LSTM(7, 5), "mine": Mine(7, 5), "other": nn.GRU(7, 5)})
    before = model.state_dict()
    assert adapt(model) == 2
    assert [type(module) for module in model.values()] == [LSTM, Mine, nn.GRU]
    assert model.state_dict().keys() == before.keys()
    assert low(model["plain"], torch.randn(6, 3, 7))[0].dtype == torch.float32  # type: ignore[index]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX2 is of x86-64 processors")
@pytest.mark.parametrize("precision", ["bf16-mixed", pytest.param("32", marks=pytest.mark.slow)])
def test_every_model_trains_where_there_is_avx2_alone(tiny: list[str], precision: str) -> None:
    words = [word for word in tiny if not word.startswith("model")]
    words += ["training.max_epochs=1", f"training.precision={precision}", "pictures=false", "training.accelerator=cpu"]
    code = (
        "import sys; from ser_lightning.cli import main\n"
        "for model in ('mfcc_lstm', 'ds_lstm', 'cnn_lstm', 'fused'):\n"
        "    assert main(['train', f'model={model}', *sys.argv[1:]]) == 0"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], env=os.environ | AVX2, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert said.count("LSTM in float32: this processor has none in bfloat16") == (3 if precision == "bf16-mixed" else 0)
