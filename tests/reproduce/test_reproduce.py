"""Published tables: recipes that compose, figures that are those of their source, rows that run and are told."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Config
from ser_lightning.config.sources import choices, search_path
from ser_lightning.errors import ConfigError, StoppedError, UserError
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.files import read_csv
from ser_lightning.reproduce import reproduce as module
from ser_lightning.reproduce.recipe import Recipe, recipe
from ser_lightning.reproduce.reproduce import reproduce

from .. import needs

NAMES = list(choices("reproduce", search_path(None)))
SPEC = needs.SHARED / "specs" / "ds_lstm.md"

TINY = """
base: [model=mfcc_lstm, training.max_epochs=2]
protocols:
  paper:
    {title: Random folds, note: Speakers on both sides., words: [split=random_kfold, split.k=3], selected_on_test: true}
  honest: {title: Speakers apart, note: None shared., words: [split=kfold, split.k=3], selected_on_test: false}
rows:
  both: {title: Both, fuse: [small, large], published: [72.7, 73.3], logged: {best: [70.5, 71.0], last: [69.1, 69.4]}}
  small: {title: Small, words: [model.hidden_dim=4]}
  large: {title: Large, words: [model.hidden_dim=8]}
"""


def read(name: str) -> Recipe:
    return recipe(name, search_path(None))


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_every_recipe_composes_under_every_protocol(name: str) -> None:
    found = read(name)
    assert [protocol.name for protocol in found.protocols] == ["paper", "honest"]
    for protocol in found.protocols:
        for row in found.rows:
            if row.words:
                config = compose([*found.base, *protocol.words, *row.words, "corpus.root=X"]).config
                assert config.training.patience is None  # the paper trains to the end
                assert config.model["name"].removeprefix("paper_") in ("mfcc_lstm", "cnn_lstm", "ds_lstm")


def test_logged_and_published_figures_are_those_of_the_source() -> None:
    """The table of ds_lstm.md 4.2 and the sentence of 4.1, read here once more."""
    if reason := needs.no_specs():
        pytest.skip(reason)
    text = SPEC.read_text(encoding="utf-8")
    table: dict[tuple[str, str], tuple[tuple[float, ...], tuple[float, ...]]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == 10 and re.fullmatch(r"\d+\.\d+ / \d+\.\d+", cells[6]):
            best, last = (tuple(map(float, cells[i].split(" / "))) for i in (6, 8))
            table.setdefault((cells[0], cells[1]), (best, last))
    rows = {row.name: row for row in read("paper").rows}
    logs = {
        "mfcc_lstm": ("exp1", "base1"),
        "cnn_fine": ("exp1", "base2"),
        "cnn_coarse": ("exp1", "base3"),
        "cnn_two": ("exp1", "base4"),
        "cnn_two_mfcc": ("exp1", "base5"),
        "ds_lstm": ("exp_model10", "model10"),
        "fused": ("exp1", "model4"),
    }
    assert {name for name, row in rows.items() if row.logged} == set(logs)
    for name, key in logs.items():
        logged = rows[name].logged or {}
        assert (tuple(logged["best"]), tuple(logged["last"])) == table[key], name
    assert "M_DS-LSTM 69.4 WA / 69.5 UA; M_LSTM + M_DS-LSTM **72.7 WA / 73.3 UA**" in text
    assert (rows["ds_lstm"].published, rows["fused"].published) == ((69.4, 69.5), (72.7, 73.3))


@pytest.fixture
def words(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "reproduce").mkdir(parents=True)
    (tmp_path / "conf" / "reproduce" / "tiny.yaml").write_text(TINY)
    own = ("split.", "model", "training.max_epochs")
    return ["tiny", *(word for word in tiny if not word.startswith(own)), "jobs=2"]


def test_rows_run_under_both_protocols_and_stand_beside_the_published_figures(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *words, "markdown=table.md", "json=figures.json"]) == 0
    shown = capsys.readouterr().out
    assert shown.strip() == Path("table.md").read_text().strip()
    found = {(one["protocol"], one["row"]): one for one in json.loads(Path("figures.json").read_text())}
    assert len(found) == 6
    assert found["paper", "both"]["labels"] == ["speaker_dependent"]
    assert found["honest", "both"]["labels"] == []
    paper, honest = shown.split("## ")[1:]
    assert "Labels: speaker_dependent." in paper and "Labels: none." in honest
    assert "69.1 / 69.4" in shown and "72.7 / 73.3" in shown
    for protocol, name in found:
        assert ("selected on test" in found[protocol, name]["figures"]) == (protocol == "paper")
    _check_fusion(found["paper", "both"], [found["paper", name] for name in ("small", "large")])
    stamps = {path: path.stat().st_mtime_ns for path in Path("runs").glob("*/metrics.csv")}
    reproduce(words)
    assert {path: path.stat().st_mtime_ns for path in Path("runs").glob("*/metrics.csv")} == stamps


def _check_fusion(both: dict[str, object], members: list[dict[str, object]]) -> None:
    """Half and half of the members' logits, and of every epoch's for the figure selected on test."""
    fused, *alone = (Pooled.read(Path(folder) / "predictions.csv") for folder in (
        f"fusions/{both['id']}", *(f"crossval/{one['id']}" for one in members)
    ))  # fmt: skip
    mean = {i: z / 2 for i, z in zip(alone[0].rows.ids, alone[0].rows.logits, strict=True)}
    for i, z in zip(alone[1].rows.ids, alone[1].rows.logits, strict=True):
        mean[i] = mean[i] + z / 2
    np.testing.assert_allclose(fused.rows.logits, [mean[i] for i in fused.rows.ids], atol=1e-12)
    best = []
    folds = [read_csv(Path("crossval") / str(one["id"]) / "folds.csv") for one in members]
    for a, b in zip(*folds, strict=True):
        kept = [np.load(f"runs/{row['run']}/test_epochs.npz")["logits"] for row in (a, b)]
        rows = alone[0].at(int(a["fold"]), 0)
        best.append(max(float(np.mean((x + y).argmax(1) == rows.targets)) for x, y in zip(*kept, strict=True)))
    assert both["figures"]["selected on test"]["wa"]["mean"] == pytest.approx(np.mean(best))  # type: ignore[index]


def test_a_row_that_fails_is_said_and_leaves_the_others(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = TINY.replace("words: [model.hidden_dim=4]", "words: [model.hidden_dim=4, training.weight_decay=1e30]")
    Path("conf/reproduce/tiny.yaml").write_text(text.replace("max_epochs=2", "max_epochs=2, training.optimizer=sgd"))
    with pytest.raises(UserError, match="not all rows are there") as raised:
        reproduce(words)
    assert "Small, paper" in str(raised.value)
    assert "Both, honest" in str(raised.value)
    assert "Large" not in str(raised.value)
    assert "| Large" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("fuse: [small, large]", "fuse: [small, larg]"), "did you mean `large`"),
        (("words: [model.hidden_dim=4]", "note: x"), "unexpected keyword argument 'note'"),
        (("fuse: [small, large], ", ""), "row `both` needs `words`, or else `fuse`"),
    ],
)
def test_mistakes_in_a_recipe_are_named(words: list[str], change: tuple[str, str], text: str) -> None:
    Path("conf/reproduce/tiny.yaml").write_text(TINY.replace(*change))
    with pytest.raises(ConfigError, match=re.escape(text)):
        reproduce(words)


def test_what_to_reproduce_must_be_named(words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"name what \(paper, paper_small, tiny\)"):
        reproduce(words[1:])
    with pytest.raises(ConfigError, match="unknown reproduce `papr`; did you mean `paper`"):
        reproduce(["papr"])
    with pytest.raises(ConfigError, match=r"unknown key `training\.max_epoch`"):
        reproduce([*words, "training.max_epoch=3"])


@pytest.mark.parametrize(
    ("word", "owner", "key"),
    [
        ("split=random_kfold", "protocol `paper`", "split"),
        ("split.k=4", "protocol `paper`", "split"),
        ("split.seed=1", "protocol `paper`", "split"),
        ("model=ds_lstm", "row `small`", "model.hidden_dim"),
        ("model.hidden_dim=16", "row `small`", "model.hidden_dim"),
    ],
)
def test_words_that_a_protocol_or_a_row_sets_are_refused_before_any_training(
    words: list[str], word: str, owner: str, key: str
) -> None:
    said = re.escape(f"`{word}`: {owner} of `ser reproduce tiny` sets {key} itself")
    with pytest.raises(ConfigError, match=said):
        reproduce([*words, word])
    assert not Path("runs").exists()


def test_every_row_is_planned_before_the_first_training(words: list[str]) -> None:
    Path("conf/reproduce/tiny.yaml").write_text(TINY.replace("split=kfold, split.k=3", "split=leave_session_out"))
    with pytest.raises(UserError, match=r"tiny, protocol `honest`, row `small`: split=leave_session_out: .*no session"):
        reproduce(words)
    assert not Path("runs").exists()


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller model's cross-validations raise."""
    real = module.crossval

    def crossval(config: Config, *rest: object) -> object:
        if config.model["hidden_dim"] == 4:
            raise error
        return real(config, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "crossval", crossval)


def test_whatever_a_user_can_mend_leaves_the_other_rows(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(UserError("another process has it"), monkeypatch)
    with pytest.raises(UserError, match="Small, paper: another process has it") as raised:
        reproduce(words)
    assert "Both, paper: small failed" in str(raised.value)
    shown = capsys.readouterr().out
    assert shown.count("| Large") == 2 and "| Small | failed" in shown


@pytest.mark.parametrize("error", [KeyError("uar"), StoppedError("SIGTERM", 143)])
def test_bugs_and_a_stop_end_it(words: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    failing(error, monkeypatch)
    with pytest.raises(type(error)):
        reproduce(words)


def test_a_recipe_of_another_folder(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf").rename("mine")
    assert main(["reproduce", *words, "split.k=4"]) == 2
    assert "unknown reproduce `tiny`" in capsys.readouterr().err
    assert main(["reproduce", "--conf", "mine", *words, "split.k=4"]) == 2
    assert "`split.k=4`: protocol `paper` of `ser reproduce tiny` sets split itself" in capsys.readouterr().err
