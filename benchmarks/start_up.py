"""Start-up: fresh processes of `ser` against fresh ones that import torch, or torch and lightning, and end at once.

The store is warm and the bytecode is compiled. All end without Python's clean-up, which takes longer
after more imports.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from measure import Bar, compared, interleaved, report

ROUNDS = 5
ENDS = "import os; os._exit(0)"
SER = "import os, sys, ser_lightning.cli as cli; code = cli.main({words!r}); sys.stdout.flush(); os._exit(code)"
FIRST_STEP = """
import os, ser_lightning.cli as cli

def load(path):
    found = really(path)
    if path == "ser_lightning.runs.train:train":
        from torch.optim import Adam
        step = Adam.step
        def ends(self, *args, **kwargs):
            step(self, *args, **kwargs)
            os._exit(0)
        Adam.step = ends
    return found

really, cli.load = cli.load, load
cli.main({words!r})
os._exit(3)
"""
"""`ser train` until its optimiser has made one step. The import of torch is left to `ser`, who has a say in it."""
TRAIN = ("train", "experiment=demo_fused", "training.accelerator=cpu", "runs_dir=runs", "cache_dir=cache")


def bars() -> Iterator[Bar]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {key: text for key, text in os.environ.items() if not key.startswith("WANDB_")}
        environment["WANDB_SILENT"] = "true"

        def process(code: str, expected: int = 0) -> Callable[[], None]:
            def run() -> None:
                done = subprocess.run(
                    [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
                )
                if done.returncode != expected:
                    raise RuntimeError(f"{code}\nended with {done.returncode}, not {expected}:\n{done.stderr}")

            return run

        def ser(*words: str) -> str:
            return SER.format(words=list(words))

        def first_step(*words: str) -> Callable[[], None]:
            trained = process(FIRST_STEP.format(words=[*TRAIN, *words]))

            def run() -> None:
                trained()
                # A run that is there would be resumed.
                shutil.rmtree(folder / "runs")

            return run

        process(ser("features", *TRAIN[1:]))()
        yield from against_torch(process, ser)
        yield from against_lightning(process, first_step)


def against_torch(process: Callable[..., Callable[[], None]], ser: Callable[..., str]) -> Iterator[Bar]:
    rivals = {
        "torch": process(f"import torch; {ENDS}"),
        "ser --help": process(ser("--help")),
        "ser train --help": process(ser("train", "--help")),
        "unknown key": process(ser("train", "corpus=demo", "model.hiden_dim=3"), 2),
        "value out of range": process(ser("train", "corpus=demo", "training.batch_size=0"), 2),
    }
    times = interleaved(rivals, ROUNDS)
    for name in list(rivals)[1:]:
        yield compared(f"{name} : import torch", times, name, "torch", 0.3)


def against_lightning(
    process: Callable[..., Callable[[], None]], first_step: Callable[..., Callable[[], None]]
) -> Iterator[Bar]:
    asked: Sequence[tuple[str, str]] = [("tracking.mode=offline", "W&B offline"), ("tracking.mode=off", "no W&B")]
    rivals = {
        "torch, lightning": process(f"import torch, lightning; {ENDS}"),
        **{name: first_step(word) for word, name in asked},
    }
    times = interleaved(rivals, ROUNDS)
    for _, name in asked:
        yield compared(f"first step, {name} : import torch, lightning", times, name, "torch, lightning", 1.25)


if __name__ == "__main__":
    report(bars())
