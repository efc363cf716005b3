"""A user's package adds components through entry points; a broken one is named, and breaks nothing else."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ser_lightning.cli import main
from ser_lightning.config.components import build
from ser_lightning.config.compose import compose
from ser_lightning.config.sources import choices, search_path
from ser_lightning.errors import ConfigError

SOURCES = Path(__file__).resolve().parent / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which pip has installed the example package."""
    target = tmp_path_factory.mktemp("plugins")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(SOURCES)], check=True)
    return target


@pytest.fixture(scope="module")
def folders(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus as SPEAKER/LABEL/NAME.wav, which only the example's adapter reads."""
    root = tmp_path_factory.mktemp("folders")
    with tiny_corpus.open(newline="", encoding="utf-8") as source:
        for row in csv.DictReader(source):
            place = root / row["speaker"] / row["label"]
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(tiny_corpus.parent / row["path"], place / row["path"])
    return root


def ser(path: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ser_lightning", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_one_of_each_is_trained(installed: Path, folders: Path, tmp_path: Path) -> None:
    done = ser(
        installed, tmp_path, "train",
        "corpus=folders", f"corpus.root={folders}", "corpus.classes=[high,low]",
        "features=energy", "features.energy.bands=5",
        "model=mean_pool", "model.dropout=0.1",
        "training.loss={name: hinge, margin: 0.5}", "training.max_epochs=1",
        "split.test=1", "split.validation=1", "tracking.mode=off",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("runs/folders-mean_pool-*")
    result = json.loads((run / "result.json").read_text())
    # 5 bands x 2 classes + 2 biases; one of six speakers, each with 2 classes x 3 takes, validates.
    assert (result["parameters"], result["epochs"], result["validation"]["n"]) == (12, 1, 6)
    assert "margin: 0.5" in (run / "config.yaml").read_text()


def test_its_choices_are_listed_after_the_packaged_ones(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.syspath_prepend(installed)
    own, *_, last = search_path(str(tmp_path))
    assert (own, last) == (tmp_path, installed / "ser_example" / "conf")
    assert choices("features", [last]).keys() == {"energy"}
    assert main(["train", "--help"]) == 0
    assert "The example's energies of eight bands" in capsys.readouterr().out
    assert "ser_example" not in sys.modules


MODULES = {
    # Raises if a configuration imports it.
    "__init__": "raise RuntimeError('imported')\n",
    "syntax": "x = 1\nclass Model(:\n",
    "classless": "from elsewhere import Model\n",
    "path": "class Model:\n    def __init__(self, streams, num_classes, *, x: Path = 3): ...\n",
    "bare": "class Model:\n    def __init__(self, streams, num_classes, *, x=3): ...\n",
    "maker": "@dataclass\nclass Model:\n    x: list[int] = field(default_factory=make)\n",
    "fine": "class Model:\n    def __init__(self, streams, num_classes, *, x: int = 3): ...\n",
}
CONF = "lost = ser_broken.no.conf\nhere = ser_broken.conf\n"
SAYS = {
    "gone": "no module ser_broken.gone",
    "syntax": "SyntaxError: .*syntax.py, line 2",
    "classless": "classless.py defines no class Model; name the module that defines it",
    "path": "parameter `x` cannot come from a configuration: name 'Path'",
    "bare": "parameter `x` has no annotation",
    "maker": "parameter `x` cannot come .* `field.default_factory=make.`",
    "formless": "is not of the form module:Class",
}


def package(site: Path, name: str, entries: str) -> None:
    info = site / f"{name.replace('-', '_')}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(entries)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with a package of which every part is broken."""
    site = tmp_path / "site"
    values = {name: f"ser_broken.{name}:Model" for name in (*SAYS, "fine")} | {"formless": "ser broken"}
    models = "".join(f"{name} = {value}\n" for name, value in values.items())
    package(site, "ser-broken", f"[ser_lightning.model]\n{models}[ser_lightning.conf]\n{CONF}")
    (site / "ser_broken" / "conf" / "model").mkdir(parents=True)
    (site / "ser_broken" / "conf" / "model" / "latin.yaml").write_bytes(b"# not UTF-8: \xe9\nname: fine\n")
    for name, text in MODULES.items():
        (site / "ser_broken" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(site)
    yield site
    assert "ser_broken" not in sys.modules


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.usefixtures("broken")
def test_a_broken_plug_in_is_named_when_it_is_chosen(name: str) -> None:
    with pytest.raises(ConfigError, match=SAYS[name]) as caught:
        compose(["corpus=demo", f"model.name={name}"])
    assert str(caught.value).startswith(f"model `{name}`: the plug-in ser")
    assert "of the package ser-broken 0.1 cannot be used" in str(caught.value)


@pytest.mark.usefixtures("broken")
def test_a_plug_in_that_cannot_be_imported_is_named_with_the_line() -> None:
    with pytest.raises(ConfigError, match=r"RuntimeError: imported \(.*ser_broken/__init__.py, line 1\)"):
        build("model", {"name": "fine"}, {}, 2)


@pytest.mark.usefixtures("broken")
def test_broken_plug_ins_break_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert main(["train", "--help"]) == 0
    assert main(["config", "experiment=demo_fused", "model=ds_lstm"]) == 0
    with pytest.raises(ConfigError, match=r"latin\.yaml, line 1: is not UTF-8"):
        compose(["corpus=demo", "model=latin"])
    left_out = "conf `lost`: ser_broken.no.conf of the package ser-broken 0.1 is no folder"
    assert left_out in " ".join(capsys.readouterr().err.split())


def test_a_name_that_two_packages_take_is_refused_when_it_is_chosen(broken: Path) -> None:
    package(broken, "ser-other", "[ser_lightning.model]\nfine = ser_other:Model\n")
    with pytest.raises(ConfigError, match=r"model `fine` .* two plug-ins.*ser-broken 0\.1.*ser-other 0\.1"):
        compose(["corpus=demo", "model.name=fine"])
    assert compose(["corpus=demo", "model=ds_lstm"]).config.model["name"] == "ds_lstm"


def test_malformed_metadata_is_named_where_it_matters(tmp_path: Path) -> None:
    package(tmp_path / "site", "ser-malformed", "[ser_lightning.model]\nno equals sign\n")
    assert ser(tmp_path / "site", tmp_path, "--help").returncode == 0
    assert ser(tmp_path / "site", tmp_path, "config", "corpus=demo").returncode == 0
    chosen = ser(tmp_path / "site", tmp_path, "config", "corpus=demo", "model.name=mine")
    assert (chosen.returncode, "ser-malformed" in chosen.stderr) == (2, True)
    # torch reads the entry points of all packages and cannot be imported.
    trained = ser(tmp_path / "site", tmp_path, "train", "corpus=demo")
    assert (trained.returncode, "uninstall ser-malformed" in trained.stderr) == (2, True), trained.stderr
