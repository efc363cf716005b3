"""The commands of docs/wandb.md, in their order: a terminal, then the recording server."""

import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from ser_lightning.cli import main

from .recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "wandb.md").read_text(encoding="utf-8")
LINES = [
    shlex.split(line.partition("  #")[0])
    for line in SECTION.partition("```sh\n")[2].partition("```")[0].splitlines()
]  # fmt: skip


DOWN = "\x1b[B"


def on_a_terminal(words: list[str], keys: str, awaited: str, seconds: float = 60) -> str:
    """What a full-screen program shows up to `awaited`, `keys` being pressed again and again; it is then ended."""
    child, screen = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        try:
            os.execvp(words[0], words)
        finally:
            os._exit(127)  # else this would be a second pytest
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    shown, deadline = "", time.monotonic() + seconds
    try:
        while awaited not in shown and time.monotonic() < deadline:
            if select.select([screen], [], [], 1)[0]:
                shown += os.read(screen, 65536).decode(errors="replace")
            elif shown:
                os.write(screen, keys.encode())
    except OSError:  # it has ended by itself
        pass
    finally:
        os.killpg(child, signal.SIGKILL)  # a session of its own, with the program that wandb starts
        os.waitpid(child, 0)
        os.close(screen)
    return shown


def test_offline_runs_in_the_terminal_then_on_the_server(
    recorder: Recorder, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leet, sync, view = LINES
    assert [line[:2] for line in LINES] == [["wandb", "leet"], ["ser", "sync"], ["ser", "wandb"]]
    monkeypatch.chdir(tmp_path)
    words = [*tiny, "tracking.mode=offline", "training.max_epochs=2", "crossval_dir=crossval"]
    folds = ["split=lists", "split.test=[s0]", "split.validation=[s1]"]
    kept = [word for word in words if not word.startswith("split.")]
    assert main(["crossval", *kept, *folds]) == 0
    (run,), (crossval,) = (
        [path.parent.name for path in tmp_path.glob(f"{kind}/*/result.json")] for kind in ("runs", "crossval")
    )
    shown = on_a_terminal([word.replace("RUN", run) for word in leet], DOWN + " ", "gradient_norm")
    assert "gradient_norm" in shown  # a curve of the training, whose folder is below that of its evaluation
    assert main(sync[1:]) == 0
    assert {one.job_type for one in recorder.store.runs.values()} == {"fold", "summary"}
    assert main([*view[1:3], crossval]) == 0
    assert len(recorder.store.views) == 2
