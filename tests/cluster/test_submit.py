"""`ser submit`: what it reads, what it renders, what sbatch is given; a recording sbatch stands for SLURM here."""

import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from ser_lightning.cli import VERBS, main
from ser_lightning.cluster.settings import Slurm, slurm_settings
from ser_lightning.errors import ConfigError, UserError

ODD = ["corpus.root=a b", "seed='7'", 'model.x="$HOME"', "tracking.tags=[`id`, $(id), \\n]", "*", "#x", "y;z", ""]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, no variables of SLURM, and programs that record instead of SLURM's."""
    for name in [name for name in os.environ if name.startswith(("SBATCH_", "SLURM_"))]:
        monkeypatch.delenv(name)
    programs = tmp_path / "bin"
    programs.mkdir()
    _program(programs / "srun", 'printf "%s\\0" "$@" > srun_words\nexit "${SRUN_CODE:-0}"')
    _program(
        programs / "sbatch",
        'n=$(ls calls 2>/dev/null | wc -l); mkdir -p calls/$n; printf "%s\\n" "$@" > calls/$n/options\n'
        'cat > calls/$n/script; env > calls/$n/environment\n[ -z "$REFUSE" ] || { echo "no $n" >&2; exit 1; }\n'
        'echo "$((70 + n));cluster"',
    )
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture(autouse=True)
def doctor(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A doctor with no objections, who remembers what he was asked."""
    asked: list[tuple[object, ...]] = []
    found = SimpleNamespace(asked=asked, refuse=lambda *words: asked.append(words))
    monkeypatch.setattr("ser_lightning.cluster.doctor.refuse", lambda *words: found.refuse(*words))
    return found


@pytest.fixture
def rendered(capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """`rendered(*words)`: the scripts that --dry-run prints, and nothing else on standard output."""

    def render(*words: str) -> list[str]:
        assert main(["submit", *words, "--dry-run"]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith("#!/bin/bash\n#SBATCH ")
        return [f"#!/bin/bash{script}" for script in shown.split("#!/bin/bash")[1:]]

    return render


SLURM = Path(__file__).resolve().parents[2] / "slurm"


@pytest.mark.parametrize("path", sorted(SLURM.glob("*.sbatch")), ids=lambda path: path.stem)
def test_every_script_starts_again_and_keeps_its_log(path: Path, rendered) -> None:  # type: ignore[no-untyped-def]
    (submitted,) = rendered("train", "experiment=demo_fused")
    shared = {key: header(submitted)[key] for key in ("open-mode", "requeue", "signal")}
    assert shared.items() <= header(path.read_text()).items()
    assert header(path.read_text())["job-name"] == f"ser-{path.stem}"
    assert ("%A_%a" in header(path.read_text())["output"]) == (path.stem in ("crossval", "sweep"))
    subprocess.run(["bash", "-n", path], check=True)


def test_the_readme_names_what_there_is() -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", (SLURM / "README.md").read_text(), re.DOTALL))
    assert set(re.findall(r"slurm/(\w+\.\w+)", blocks)) == {*(p.name for p in SLURM.glob("*.sbatch")), "site.sh"}
    verbs = set(re.findall(r"^ser (\w+)", blocks, re.MULTILINE))
    assert verbs > {"corpus", "submit", "sync", "logs"} and verbs <= {name.split()[0] for name in VERBS}


def header(script: str) -> dict[str, str]:
    return dict(re.findall(r"^#SBATCH '?--([\w-]+)=?(.*?)'?$", script, re.MULTILINE))


def started(script: str, place: Path, **env: str) -> tuple[int, list[str]]:
    """Run a script; its exit code, and the words with which it called srun."""
    done = subprocess.run(["bash"], input=script, text=True, cwd=place, env=os.environ | env)
    return done.returncode, (place / "srun_words").read_text().split("\0")[:-1]


def test_a_training_asks_for_what_it_needs_and_nothing_else(rendered, place: Path) -> None:  # type: ignore[no-untyped-def]
    (script,) = rendered("train", "experiment=demo_fused")
    assert header(script) == {
        "job-name": "ser-train",
        "output": "slurm_logs/%x-%j.out",
        "open-mode": "append",
        "requeue": "",
        "signal": "USR1@90",
        "nodes": "1",
        "ntasks-per-node": "1",
        "cpus-per-task": "4",
    }
    assert started(script, place) == (0, ["ser", "train", "experiment=demo_fused"])


@pytest.mark.parametrize(
    ("words", "gres"),
    [
        (["training.accelerator=cuda"], "gpu:1"),
        (["training.accelerator=cuda", "training.devices=4"], "gpu:4"),
        (["training.accelerator=cuda", "slurm.gpus=2", "slurm.gres=gpu:a100"], "gpu:a100:2"),
        (["training.accelerator=cuda", "slurm.gpus=0"], None),
        (["training.accelerator=cpu", "training.devices=4"], None),
        (["slurm.gpus=1"], "gpu:1"),
    ],
)
def test_gpus_are_asked_for_where_the_training_does(words: list[str], gres: str | None, rendered) -> None:  # type: ignore[no-untyped-def]
    (script,) = rendered("train", "experiment=demo_fused", *words)
    assert header(script).get("gres") == gres


def test_ranks_are_the_tasks_of_a_step(rendered, place: Path) -> None:  # type: ignore[no-untyped-def]
    (script,) = rendered("train", "experiment=demo_fused", "training.devices=3", "training.num_nodes=2")
    asked = header(script)
    assert (asked["nodes"], asked["ntasks-per-node"]) == ("2", "3")
    _, words = started(script, place, SLURM_JOB_NUM_NODES="2", SLURM_NTASKS_PER_NODE="3")
    assert words[:5] == ["--kill-on-bad-exit=1", "ser", "train", "training.num_nodes=2", "training.devices=3"]


def test_settings_reach_the_header_and_the_job(rendered, place: Path) -> None:  # type: ignore[no-untyped-def]
    given = "account=a partition=p,q qos=high time=1:30:00 mem=8G cpus_per_task=2 signal=300 name=mine logs_dir=out"
    (script,) = rendered(
        "train", "experiment=demo_fused", *(f"slurm.{word}" for word in given.split()),
        "slurm.setup=[export SRUN_CODE=5]", "slurm.options=[--constraint=a100, --comment=two words]",
    )  # fmt: skip
    asked = header(script)
    wanted = dict(word.split("=") for word in given.split()) | {"signal": "USR1@300", "comment": "two words"}
    names = {"cpus_per_task": "cpus-per-task", "name": "job-name"}
    for key in wanted.keys() - {"logs_dir"}:
        assert asked[names.get(key, key)] == wanted[key]
    assert (asked["output"], asked["constraint"]) == ("out/%x-%j.out", "a100")
    assert started(script, place, SLURM_CPUS_PER_TASK="2")[0] == 5


def test_words_survive_the_shell(place: Path) -> None:
    from ser_lightning.cluster.script import Script

    code, words = started(Script("train", ODD, {"requeue": ""}, Slurm()).text, place)
    assert (code, words) == (0, ["ser", "train", *ODD])


def test_a_job_has_its_threads_and_the_environment_of_site_sh(rendered, place: Path) -> None:  # type: ignore[no-untyped-def]
    (place / "slurm").mkdir()
    (place / "slurm" / "site.sh").write_text(
        "srun() { echo $OMP_NUM_THREADS $SRUN_CPUS_PER_TASK $SLURM_EXPORT_ENV; }\n"
    )
    (script,) = rendered("train", "experiment=demo_fused")
    for env, said in (({"SLURM_CPUS_PER_TASK": "6"}, "6 6 ALL\n"), ({"SLURM_EXPORT_ENV": "NONE"}, "1 1 ALL\n")):
        done = subprocess.run(["bash"], input=script, text=True, env=os.environ | env, capture_output=True)
        assert done.stdout == said


def test_folds_are_tasks_of_an_array_and_then_gathered(rendered, tiny: list[str], place: Path) -> None:  # type: ignore[no-untyped-def]
    words = [*_folds(tiny), "seeds=2"]
    folds, gather = rendered("crossval", *words, "slurm.at_once=2", "training.accelerator=cuda")
    assert header(folds)["array"] == "0-2%2"
    assert header(folds)["output"] == "slurm_logs/%x-%A_%a.out"
    assert "gres" in header(folds) and "gres" not in header(gather) and "array" not in header(gather)
    plain = ["ser", "crossval", *words, "training.accelerator=cuda"]
    assert started(folds, place, SLURM_ARRAY_TASK_ID="1")[1] == [*plain, "only=1"]
    assert started(gather, place)[1] == [*plain, "gather=true"]


def _folds(tiny: list[str]) -> list[str]:
    return [*(word for word in tiny if not word.startswith("split.")), "split=kfold", "split.k=3"]


def test_workers_of_a_sweep_are_an_array_and_showing_them_leaves_nothing(rendered, place: Path) -> None:  # type: ignore[no-untyped-def]
    before = sorted(place.iterdir())
    (script,) = rendered("sweep", "quick", "corpus.root=x y", "study.trials=3", "slurm.workers=7", "slurm.at_once=3")
    assert header(script)["array"] == "1-7%3"
    assert sorted(place.iterdir()) == before
    assert started(script, place)[1] == ["ser", "sweep", "quick", "corpus.root=x y", "study.trials=3"]


def test_the_users_folder_is_searched_first(place: Path, rendered) -> None:  # type: ignore[no-untyped-def]
    mine = place / "mine" / "slurm"
    mine.mkdir(parents=True)
    (mine / "gpu.yaml").write_text('defaults: [default]\npartition: gpu\ntime: "8:00:00"\n')
    (script,) = rendered("train", "experiment=demo_fused", "slurm=gpu", "slurm.time=9", "--conf", "mine")
    assert (header(script)["partition"], header(script)["time"]) == ("gpu", "9")
    assert started(script, place)[1][2:] == ["experiment=demo_fused", "--conf", "mine"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("slurm=defualt", "unknown slurm `defualt`; did you mean `default`?"),
        ("slurm.tiem=1", "unknown setting `slurm.tiem` .command line.; did you mean `time`"),
        ("slurm.workers=many", "`slurm.workers`"),
        ("slurm.workers=0", "slurm.workers=0: must be at least 1"),
        ("slurm.setup=ls", "write slurm.setup=.ls."),
        ("slurm.options=[constraint]", "no option of sbatch"),
        ("slurm=file", "slurm.tiem. .conf/slurm/file.yaml.; did you mean `time`"),
        ("slurm=clock", "clock.yaml, line .: time: `8:00:00` is another number to YAML .*: put it in quotes"),
    ],
)
def test_wrong_settings_name_the_key_and_the_remedy(words: str, said: str, place: Path) -> None:
    (place / "conf" / "slurm").mkdir(parents=True)
    (place / "conf" / "slurm" / "file.yaml").write_text("tiem: 1\n")
    (place / "conf" / "slurm" / "clock.yaml").write_text("time: 8:00:00\n")
    with pytest.raises(ConfigError, match=said):
        slurm_settings([words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "One of train, crossval, sweep"),
        (["trian"], "did you mean `train`"),
        (["train", "experiment=demo_fused", "model.hiden_dim=3"], "did you mean `hidden_dim`"),
        (["crossval", "experiment=demo_fused", "only=1"], "leave `only` and `gather` out"),
        (["crossval", "experiment=demo_fused", "training.num_nodes=2"], "a fold is trained on one node"),
        (["sweep", "quick", "corpus.root=x", "training.num_nodes=2"], "a trial is trained on one node"),
        (["sweep", "corpus.root=x"], "name a sweep file"),
        (["sweep", "qick"], "did you mean `quick`"),
    ],
)
def test_wrong_words_end_before_anything_is_submitted(
    words: list[str], said: str, place: Path, doctor: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *words]) in (1, 2)
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (place / "calls").exists() and not doctor.asked


def test_what_is_submitted_is_what_was_shown(
    rendered, tiny: list[str], place: Path, doctor: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    words = ["crossval", *_folds(tiny)]
    shown = rendered(*words)
    assert not (place / "calls").exists() and not doctor.asked
    assert main(["submit", *words, "slurm.account=me"]) == 0
    told = capsys.readouterr()
    assert told.out == "70\n71\n" and "squeue -j 70,71" in told.err
    given = [(place / "calls" / str(n) / "script").read_text() for n in range(2)]
    assert [script.replace("#SBATCH --account=me\n", "").strip() for script in given] == [s.strip() for s in shown]
    options = [(place / "calls" / str(n) / "options").read_text().split() for n in range(2)]
    assert options == [["--parsable"], ["--parsable", "--dependency=afterany:70", "--kill-on-invalid-dep=yes"]]
    assert (place / "slurm_logs").is_dir()
    assert doctor.asked == [("crossval", _folds(tiny), None, Slurm(account="me"))]


def test_nothing_is_submitted_that_the_doctor_refuses(
    place: Path, doctor: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise UserError("disk: full; make room")

    doctor.refuse = refuse
    assert main(["submit", "train", "experiment=demo_fused"]) == 1
    assert "disk: full; make room" in capsys.readouterr().err
    assert not (place / "calls").exists()


def test_variables_do_not_win_over_settings(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"SBATCH_ACCOUNT": "mine", "SLURM_CONF": "/etc/slurm.conf"}
    gone = {"SBATCH_TIMELIMIT": "1", "SBATCH_REQUEUE": "1", "SBATCH_CONSTRAINT": "b", "SLURM_CPUS_PER_TASK": "9"}
    for name, text in (kept | gone).items():
        monkeypatch.setenv(name, text)
    words = ["train", "experiment=demo_fused", "slurm.time=2", "slurm.options=[--constraint=a]"]
    assert main(["submit", *words]) == 0
    seen = dict(line.split("=", 1) for line in (place / "calls/0/environment").read_text().splitlines() if "=" in line)
    assert {name: seen.get(name) for name in kept | gone} == kept | dict.fromkeys(gone)


def test_a_refusal_of_sbatch_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REFUSE", "1")
    assert main(["submit", "train", "experiment=demo_fused"]) == 1
    assert "sbatch refuses: no 0" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["submit", "train", "experiment=demo_fused"]) == 1
    assert "no sbatch on this machine" in capsys.readouterr().err
