"""What `ser_lightning` itself offers to a script or a notebook."""

import subprocess
import sys
from pathlib import Path

import pytest

import ser_lightning
from ser_lightning import Predictions, compose, evaluate, load_run, read_history, train
from ser_lightning.config.schema import Config
from ser_lightning.errors import UserError


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, ser_lightning; assert 'ser_lightning.config.compose' not in sys.modules; "
        "from ser_lightning import compose; compose(['experiment=demo_fused']); "
        "sys.exit(bool({'torch', 'lightning', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_listed() -> None:
    for name in ser_lightning.__all__:
        assert getattr(ser_lightning, name).__name__ == name
    assert set(ser_lightning.__all__) <= set(dir(ser_lightning))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        ser_lightning.trian  # noqa: B018


def test_a_run_is_read_back(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose(tiny).config
    assert isinstance(config, Config)
    evaluate(train(config))
    monkeypatch.chdir(Path(config.runs_dir).parent)
    (folder,) = Path("runs").glob("table-*")
    for run in (load_run(f"runs/{folder.name}"), load_run(folder.absolute()), load_run(folder.name)):
        assert run.id == folder.name
    predictions = Predictions.read(run.predictions)
    assert [row["epoch"] for row in read_history(run.metrics)] == [0, 1, 2]
    for part in ("validation", "test"):
        assert predictions.part(part).scores().uar == run.read_result()[part]["uar"]
    assert run.read_config() == config


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run"):
        load_run(tmp_path / "none")
