"""The only door to torchaudio: `from ser_lightning.features.torchaudio_shim import torchaudio`.

The last published wheels (2.11) link against one CUDA version and raise when their compiled extension
does not load, although everything used here (filter banks, DCT, deltas, resampling, masking) is pure
torch. In that case torchaudio is imported with its extension declared absent, a state it supports itself.
Importing this module imports torch; do it inside functions where start-up time matters.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def _without_extension(reason: Exception) -> ModuleType:
    """A stand-in for `torchaudio._extension` that says that nothing compiled is available."""

    def fail_if_no_align(function: Callable[..., Any]) -> Callable[..., Any]:
        def unavailable(*_: Any, **__: Any) -> Any:
            name = f"torchaudio.{function.__name__}"
            raise RuntimeError(f"{name} needs torchaudio's compiled extension, which did not load: {reason}")

        return unavailable

    stub = ModuleType("torchaudio._extension")
    vars(stub).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=fail_if_no_align)
    return stub


def _import() -> ModuleType:
    try:
        return importlib.import_module("torchaudio")
    except (OSError, RuntimeError) as error:
        # The failed import leaves submodules behind that would be reused half-initialised.
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _without_extension(error)
        return importlib.import_module("torchaudio")


torchaudio = _import()
