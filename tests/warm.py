"""`ser` in a process of its own that has everything loaded as it begins: the rest is as in a fresh one.

Most tests that kill or signal a process need no fresh one, which takes seconds to load. How a fresh one begins is
tested in test_loading.py, test_plugins.py and slurm/.
"""

import atexit
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ser_lightning.processes.launcher import PRELOADED
from ser_lightning.processes.signals import shielded, unshield


class Ser:
    """`ser WORDS`, leader of its own session; like subprocess.Popen, as far as tests need it.

    Args:
        log: a file that gets what it writes to both of its streams, so that it never waits for a reader.
        env: its whole environment; None for this process's.
    """

    def __init__(self, words: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        arguments = (list(words), str(log.absolute()), str(Path.cwd()), dict(os.environ if env is None else env))
        self._process = context.Process(target=_main, args=arguments)
        with shielded():
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def said(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        """Its exit code; below 0 the signal that killed it."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _main(words: list[str], log: str, cwd: str, env: dict[str, str]) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [place for place in env.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.argv = ["ser", *words]
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    unshield()
    import torch

    from ser_lightning.cli import main

    torch.set_num_threads(int(env["OMP_NUM_THREADS"]))
    try:
        sys.exit(main(words))
    finally:
        atexit._run_exitfuncs()
