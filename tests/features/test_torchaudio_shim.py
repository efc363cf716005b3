"""torchaudio is importable whether or not its compiled extension loads."""

import subprocess
import sys

import pytest

from ser_lightning.features.torchaudio_shim import torchaudio


def test_pure_torch_parts_work() -> None:
    assert torchaudio.__version__.startswith("2.11")
    assert torchaudio.functional.create_dct(13, 26, "ortho").shape == (26, 13)


@pytest.mark.parametrize("error", ["OSError", "RuntimeError"])
def test_extension_that_does_not_load_is_declared_absent(error: str) -> None:
    # A finder that raises stands in for a wheel built for another CUDA version, wherever the tests run.
    code = f"""
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torchaudio._extension":
            raise {error}("libcudart.so.99 not found")
sys.meta_path.insert(0, Broken())
from ser_lightning.features.torchaudio_shim import torchaudio
assert not torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE
import torch
assert torchaudio.functional.resample(torch.zeros(480), 48000, 16000).shape == (160,)
try:
    torchaudio.functional.forced_align(torch.zeros(1, 2, 2), torch.zeros(1, 1))
except RuntimeError as caught:
    assert "forced_align" in str(caught) and "libcudart.so.99" in str(caught), caught
else:
    raise AssertionError("forced_align must say that the extension is missing")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_other_import_errors_are_not_hidden() -> None:
    code = """
import sys
sys.modules["torchaudio"] = None
from ser_lightning.features import torchaudio_shim
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in done.stderr
