"""`make bench`: every bar, each file in a process of its own; the table, and benchmarks/results/<time>.json.

python benchmarks/bench.py [NAME ...]    NAME is a file beside this one, such as recurrence
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from measure import Bar, table

HERE = Path(__file__).parent
NAMES = ("start_up", "recurrence", "training_step", "features", "data_path", "ranks_and_precision", "sweep_overhead")
PACKAGES = ("torch", "lightning", "torchaudio", "librosa", "opensmile", "numpy")


def main() -> int:
    names, started = sys.argv[1:] or NAMES, time.strftime("%Y-%m-%dT%H-%M-%S")
    # before the benchmarks themselves load the machine
    found_here = environment()
    path = HERE / "results" / f"{started}.json"
    bars: list[Bar] = []
    failed = []
    for name in names:
        print(f"\n== {name}", flush=True)
        found, code = measured(name)
        bars += found
        failed += [name] * (code != 0)
        write(path, found_here, bars)
    print("\n== all")
    table(bars)
    print(f"\n{path}" + "".join(f"\nFAILED: {name}" for name in failed))
    return 1 if failed else 0


def measured(name: str) -> tuple[list[Bar], int]:
    """The bars of one file, and its exit code; what it measured before it failed is kept."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "bars.jsonl"
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), "--to", str(lines)], check=False)
        text = lines.read_text(encoding="utf-8") if lines.exists() else ""
    rows = [json.loads(line) for line in text.splitlines()]
    return [Bar(**{key: value for key, value in row.items() if key != "met"}) for row in rows], done.returncode


def write(path: Path, found_here: dict[str, Any], bars: list[Bar]) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = [vars(bar) | {"met": bar.met} for bar in bars]
    text = json.dumps({"environment": found_here, "bars": rows}, indent=1)
    path.with_suffix(".tmp").write_text(text + "\n", encoding="utf-8")
    path.with_suffix(".tmp").rename(path)


def environment() -> dict[str, Any]:
    """What has to be known to read the ratios."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0],
        "gpu": gpu,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
