"""Composition: what wins, where values come from, and one clear line for each mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.config.sources import GROUPS, choices, search_path
from ser_lightning.errors import ConfigError

DEMO = "corpus=demo"
ROOT_NEEDED = {
    "emodb": ["corpus.root=X"],
    "ravdess": ["corpus.root=X"],
    "table": ["corpus.root=X", "corpus.classes=[a,b]"],
    "file": ["split.file=X"],
}
SHIPPED = [(group, choice) for group in GROUPS for choice in choices(group, search_path(None))]


@pytest.mark.parametrize(("group", "choice"), SHIPPED)
def test_every_shipped_yaml_composes_and_binds(group: str, choice: str) -> None:
    corpus = [] if group in ("corpus", "experiment") else [DEMO]
    config = compose([*corpus, f"{group}={choice}", "corpus.root=X", *ROOT_NEEDED.get(choice, [])]).config
    if group in ("corpus", "split"):
        assert getattr(config, group)["name"] == choice


def test_relied_upon_names_are_there() -> None:
    assert {"mfcc_lstm", "cnn_lstm", "ds_lstm", "fused"} <= set(choices("model", search_path(None)))
    assert {"demo_fused", "emodb_fused", "ravdess_fused", "paper_fused", "paper_fused_large"} <= set(
        choices("experiment", search_path(None))
    )
    config = compose([DEMO, "training.max_epochs=3", "training.batch_size=4", "training.limit_train_batches=2"]).config
    assert (config.training.max_epochs, config.training.batch_size, config.training.limit_train_batches) == (
        3,
        4,
        2,
    )
    assert config.tracking.mode == "offline"


def test_values_win_in_the_order_group_experiment_command_line(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "defaults: [{corpus: demo}, {model: ds_lstm}]\n"
        "model: {hidden_dim: 11, dropout: 0.4}\n"
        "training: {max_epochs: 7}\n"
    )
    composed = compose(["experiment=mine", "model.hidden_dim=12"], str(tmp_path))
    assert composed.config.model["hidden_dim"] == 12
    assert composed.config.model["dropout"] == 0.4
    assert composed.config.training.max_epochs == 7
    assert composed.origin["model.hidden_dim"] == "command line"
    assert composed.origin["model.dropout"] == "conf/experiment/mine.yaml"
    assert composed.origin["model.name"] == "conf/model/ds_lstm.yaml"


def test_another_group_on_the_command_line_drops_what_the_experiment_said_of_it(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "defaults: [{corpus: demo}, {model: fused}]\nmodel: {weight: 0.9}\n"
    )
    config = compose(["experiment=mine", "model=mfcc_lstm"], str(tmp_path)).config
    assert config.model["name"] == "mfcc_lstm"
    assert "weight" not in config.model


def test_naming_the_experiments_own_choice_changes_nothing() -> None:
    plain = compose(["experiment=paper_fused", "corpus.root=X"]).config
    named = compose(["experiment=paper_fused", "corpus=emodb", "corpus.root=X"]).config
    assert plain == named
    assert named.corpus["classes"] == ["anger", "happiness", "neutral", "sadness"]


def test_experiments_inherit() -> None:
    config = compose(["experiment=paper_fused_large", "corpus.root=X"]).config
    assert config.model["channels"] == [64, 32]
    assert config.features["coarse"]["frames"] == 120
    assert config.training.milestones == [10, 20, 30]


def test_strings_stay_strings() -> None:
    config = compose([DEMO, "split=lists", "split.test=[03,08]", "split.validation=[007]", "tracking.name=010"]).config
    assert config.split["test"] == ["03", "08"]
    assert config.split["validation"] == ["007"]
    assert config.tracking.name == "010"


def test_numbers_lists_and_null() -> None:
    config = compose(
        [DEMO, "training.learning_rate=1e-4", "training.milestones=[3,5]", "training.patience=null"]
    ).config
    assert config.training.learning_rate == 1e-4
    assert config.training.milestones == [3, 5]
    assert config.training.patience is None


def test_a_stream_can_be_added_or_changed_whole() -> None:
    config = compose(
        [DEMO, "features.extra={extractor: log_mel, n_mels: 20}", "features.fine={n_fft: 800, hop: 400}"]
    ).config
    assert config.features["extra"]["n_mels"] == 20
    assert (config.features["fine"]["n_fft"], config.features["fine"]["hop"]) == (800, 400)
    assert config.features["fine"]["n_mels"] == 40


MISTAKES = [
    (["model.hiden_dim=3"], "unknown key `model.hiden_dim`", "did you mean `hidden_dim`"),
    (["trainig.max_epochs=3"], "unknown key `trainig.max_epochs`", "did you mean `training`"),
    (["features.fine.hopp=3"], "unknown key `features.fine.hopp`", "did you mean `hop`"),
    (["features.fin.hop=3"], "unknown key `features.fin.hop`", "did you mean `fine`"),
    (["features.fin={hop: 3}"], "extractor: give `extractor`", "log_mel"),
    (["experiment=emodb_fuse"], "unknown experiment `emodb_fuse`", "did you mean `emodb_fused`"),
    (["model.name=fusd"], "unknown model `fusd`", "did you mean `fused`"),
    (["training.max_epochs=many"], "`training.max_epochs`", "Integer"),
    (["training.optimizer=adm"], "`training.optimizer`", "adamw"),
    (["training.max_epochs=null"], "`training.max_epochs`", "None"),
    (["corpus=emodb"], "missing value", "corpus.root=..."),
    (["split=file"], "missing value", "give split.file=..."),
    (["training.milestones=[1"], "`[1` cannot be read", ""),
    (["max_epochs"], "`max_epochs` is not an override", "key=value"),
    (["+model.x=1"], "Hydra's syntax", "model.x=1"),
    (["++model.x=1"], "Hydra's syntax", "model.x=1"),
    (["~model.dropout"], "Hydra's syntax", "model.dropout=null"),
    (["-m"], "Hydra's syntax", "ser sweep"),
    (["--multirun", "model=a,b"], "Hydra's syntax", "ser sweep"),
    (["hydra.run.dir=x"], "Hydra's syntax", "runs_dir"),
    (["model@x=fused"], "Hydra's syntax", "group=choice"),
    (["model=fused,ds_lstm"], "unknown model `fused,ds_lstm`", ""),
    (["model.name=ds_lstm"], "`model.weight` (from conf/model/fused.yaml) is no parameter", "choose model=ds_lstm"),
]


@pytest.mark.parametrize(("words", "says", "advises"), MISTAKES)
def test_a_mistake_is_one_line_with_a_remedy(words: list[str], says: str, advises: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([DEMO, *words])
    text = str(caught.value)
    assert says in text
    assert advises in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("yaml_text", "says"),
    [
        ("model: {hiden_dim: 3}\n", "conf/experiment/mine.yaml"),
        ("training: {max_epochs: x}\n", "conf/experiment/mine.yaml"),
        ("training: {max_epochs: 1}\ntraining: {max_epochs: 2}\n", "mine.yaml"),
        ("- a\n- b\n", "mine.yaml"),
        ("defaults: [mine]\n", "inherits from itself"),
        ("defaults: [{modl: fused}]\n", "did you mean `model`"),
    ],
)
def test_a_mistake_in_a_file_names_the_file(tmp_path: Path, yaml_text: str, says: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(yaml_text)
    with pytest.raises(ConfigError, match=says):
        compose([DEMO, "experiment=mine"], str(tmp_path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("defaults: [_self_, {db: mysql}]", "defaults: `_self_` is Hydra's"),
        ("defaults: [{db: mysql}]", "defaults: unknown group `db`"),
        ("defaults: [{override /model: fused}]", "`- group: choice`"),
        ("defaults: {model: fused}", "`defaults` is a list"),
        ("defaults: [fused]", "`fused` stands alone"),
        ("defaults: [{model: null}]", "leave the line out"),
        ("defaults: [{model: yes}]", "put it in quotes"),
        ("defaults:", "choose no features"),
        ("defaults: [{features: small}, {model: fused}]", "choose no split: add a line `- split: ...` .*--conf DIR"),
        ("db: {driver: mysql}", "unknown key `db`"),
        ("model: fused", "`model` is a mapping of keys to values; a choice is a line `- model: ...`"),
        ("- a", "holds a list"),
    ],
)
def test_somebodys_own_config_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text(f"{text}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^conf/config.yaml: .*{says}") as caught:
        compose([DEMO])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("corpus: {classes: [yes, a, 1_0, 1e1, null, 0x1]}", "`corpus.classes`.*`true`, `10`, `10.0`, `null`, `1`"),
        ("corpus: {labels: {a: no}}", "`corpus.labels`.*`false`"),
        ("split: {name: lists, test: [3, a]}", "`split.test`.*`3`"),
        ("split: {name: lists, test: [03]}", "line 1: split.test: `03`"),
        ("split: {name: lists, groups: [[a, 7], [on]]}", "`split.groups`.*`7`, `true`"),
        ("tracking: {mode: off}", "`tracking.mode`.*`false`"),
        ("tracking: {name: 1e3, tags: [a]}", "`tracking.name`.*`1000.0`"),
        ("runs_dir: 7", "`runs_dir`.*`7`"),
        ("model: {name: 7}", "`model.name` .from conf/experiment/mine.yaml.*`7`"),
        ("training: {loss: {name: no}}", "`training.loss.name` .from conf/experiment/mine.yaml.*`false`"),
    ],
)
def test_what_yaml_takes_for_something_else_goes_in_quotes(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"{text}\ndefaults: [{{corpus: demo}}]\n")
    with pytest.raises(ConfigError, match=f"{says}.*put it in quotes"):
        compose(["experiment=mine"], str(tmp_path))


def test_texts_in_quotes_and_dates_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "mine.yaml").write_text("name: lists\ntest: ['03', \"yes\", 2024-01-01, 08, '12:30', =]\n")
    config = compose([DEMO, "split=mine", "corpus.labels.ang=010"], str(tmp_path)).config
    assert config.split["test"] == ["03", "yes", "2024-01-01", "08", "12:30", "="]
    assert config.corpus["labels"]["ang"] == "010"


def test_names_of_the_configuration_are_spelled_as_those_of_the_corpus() -> None:
    words = ["corpus.classes=[Zoe\u0308, b\u200b]", "corpus.labels={a\ufeff: Zoe\u0308}", "split=lists"]
    config = compose([DEMO, *words, "split.groups=[[e\u0301],[x,\u00a0y]]"]).config
    assert config.corpus["classes"] == ["Zo\u00eb", "b"]
    assert config.corpus["labels"]["a"] == "Zo\u00eb"
    assert config.split["groups"] == [["\u00e9"], ["x", "y"]]


def test_conf_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        compose([], str(tmp_path / "none"))


@pytest.mark.parametrize(
    "words", [[], ["corpus.root=mistyped"], ["corpus.name=demo"], ["model=ds_lstm"], ["debug=quick"]]
)
def test_there_is_no_default_corpus(words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(words)
    text = str(caught.value)
    assert "\n" not in text
    for group in ("corpus", "experiment"):
        assert f"{group}=... ({', '.join(choices(group, search_path(None)))})" in text


def test_an_experiment_without_a_corpus_needs_one_too(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("corpus: {classes: [a, b]}\n")
    with pytest.raises(ConfigError, match="choose corpus="):
        compose(["experiment=mine"], str(tmp_path))
    assert compose(["experiment=mine", DEMO], str(tmp_path)).config.corpus["name"] == "demo"


@pytest.mark.parametrize(("name", "word"), [("emodb", "corpus.name=emodb"), ("kfold", "split.name=kfold")])
def test_a_component_named_over_values_that_it_shares_is_fine(name: str, word: str) -> None:
    section = word.partition(".")[0]
    config = compose(["corpus=savee", "corpus.root=X", word]).config
    assert getattr(config, section)["name"] == name


def test_own_conf_hides_the_packaged_file_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf" / "training").mkdir(parents=True)
    (tmp_path / "conf" / "training" / "default.yaml").write_text("max_epochs: 77\n")
    monkeypatch.chdir(tmp_path)
    assert compose([DEMO]).config.training.max_epochs == 77


WATCHED = "import sys; from ser_lightning.cli import main; code = main({}); print(code, 'torch' in sys.modules)"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "corpus=demo", "model.hiden_dim=3"],
        ["train", "corpus=demo", "training.batch_size=0"],
        ["train", "corpus.root=here"],
        ["train", "+a=1"],
        ["trian"],
        ["train", "corpus=emodb"],
        ["evaluate"],
        ["config", "corpus=demo"],
        ["train", "--help"],
    ],
)
def test_the_command_line_is_checked_before_torch_is_imported(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED.format(words)], cwd=tmp_path, capture_output=True, text=True)
    code, torch_is_there = done.stdout.split()[-2:]
    assert torch_is_there == "False"
    assert code == ("0" if words in (["config", "corpus=demo"], ["train", "--help"]) else "2")
    assert "Traceback" not in done.stderr
