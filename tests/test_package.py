"""The package as it is installed: from tracked files alone, its YAML inside, used from another folder."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, installed there from the files that git tracks."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True)
    return target


def test_an_installed_package_finds_its_yaml_from_any_folder(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import ser_lightning; print(ser_lightning.__file__); "
        "from ser_lightning.cli import main; sys.exit(main(['config', 'experiment=demo_fused']))"
    )
    command = [sys.executable, "-I", "-c", code, str(installed)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(installed))
    assert "# conf/experiment/demo_fused.yaml" in done.stdout
    for name in ("sweeps/README.md", "slurm/job.sh", "slurm/ddp.sbatch"):
        assert (installed / "ser_lightning" / name).exists()
