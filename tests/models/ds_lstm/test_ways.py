import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm import ways
from ser_lightning.models.ds_lstm.cell import DualSequenceLayer

CPU, CUDA, META = (torch.device(name) for name in ("cpu", "cuda", "meta"))


def test_each_device_gets_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "find_spec", lambda name: name == "triton" or None)
    assert [ways.way("auto", device, False) for device in (CPU, CUDA, META)] == ["cpu", "triton", "reference"]
    assert [ways.way("fused", device, False) for device in (CPU, CUDA)] == ["cpu", "triton"]
    assert [ways.way("reference", device, False) for device in (CPU, CUDA, META)] == ["reference"] * 3
    assert [ways.way("auto", device, True) for device in (CPU, CUDA)] == ["cpu", "reference"]


@pytest.mark.parametrize(
    ("device", "gate_norm", "triton", "message"),
    [
        (META, False, True, "not on meta"),
        (CUDA, True, True, "post_sigmoid_bn on CUDA"),
        (CUDA, False, False, "needs the package triton"),
    ],
)
def test_a_fused_way_that_cannot_be_had_is_refused(
    device: torch.device, gate_norm: bool, triton: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "find_spec", lambda _: triton or None)
    with pytest.raises(UserError, match=rf"model\.recurrence=fused .*{message}.*reference"):
        ways.way("fused", device, gate_norm)
    assert ways.way("auto", device, gate_norm) == "reference"


def test_a_layer_refuses_when_it_runs() -> None:
    layer = DualSequenceLayer(2, 3, 4, recurrence="fused").to("meta")
    with pytest.raises(UserError, match=r"model\.recurrence=fused"):
        layer(torch.rand(1, 2, 2, device="meta"), torch.rand(1, 2, 3, device="meta"), torch.tensor([2]))
