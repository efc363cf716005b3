import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

triton = pytest.importorskip("triton", reason="Triton is not installed: pip install triton (Linux only)")
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from ser_lightning.models.ds_lstm import triton_kernels as kernels  # noqa: E402
from ser_lightning.models.ds_lstm.gpu import Direction, launch  # noqa: E402

KIND = {torch.float32: "*fp32", torch.bfloat16: "*bf16"}
# compute capability -> bytes of shared memory that a program may have (CUDA C++ programming guide)
SHARED_MEMORY = {86: 99 * 1024, 90: 227 * 1024}


def test_kernels_under_the_interpreter_or_on_a_gpu() -> None:
    """The interpreter has to be chosen before Triton is imported, hence a process of its own."""
    checks = Path(__file__).with_name("gpu_checks.py")
    interpreter = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(checks)]
    done = subprocess.run(command, env={**os.environ, **interpreter}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("capability", SHARED_MEMORY)
@pytest.mark.parametrize("dtype", KIND, ids=str)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_kernels_of_the_widest_state_are_built_and_fit(
    direction: Direction, dtype: torch.dtype, capability: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Down to machine code, which needs no GPU."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    options = launch(direction, dtype, 256, SHARED_MEMORY[capability])
    assert options is not None
    built = _build(f"{direction}_sequence", dtype, capability, options)
    assert built.metadata.shared <= SHARED_MEMORY[capability]
    after_the_last_write = built.asm["ptx"].rpartition("st.global")[2]
    assert "bar.sync" in after_the_last_write.partition("bra")[0], "the next step may read before all have written"


@pytest.mark.parametrize("name", ["forward_step", "backward_step"])
def test_pointwise_kernels_are_built(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    assert _build(name, torch.bfloat16, 90, {"hidden_dim": 500, "block": 256}).asm["cubin"]


def test_what_does_not_fit_goes_step_by_step() -> None:
    assert launch("forward", torch.float32, 257, 227 * 1024) is None
    assert launch("forward", torch.float32, 256, 64 * 1024) is None
    assert launch("forward", torch.bfloat16, 256, 64 * 1024) is not None


def _build(name: str, dtype: torch.dtype, capability: int, options: dict[str, Any]) -> Any:
    kernel = getattr(kernels, name)
    constants = {"saved": True, "interpreted": False, **options}
    constants = {key: constants[key] for key in kernel.arg_names if key in constants}
    kinds = dict.fromkeys(["steps", "batch", "count"], "i32") | dict.fromkeys(["weight", "product"], KIND[dtype])
    signature = {key: "constexpr" if key in constants else kinds.get(key, "*fp32") for key in kernel.arg_names}
    settings = {key: options[key] for key in ("num_warps", "num_stages") if key in options}
    source = ASTSource(kernel, signature, constants)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=settings)
