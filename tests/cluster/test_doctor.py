"""`ser doctor`: what is wrong is found before anything is queued, and nothing is left behind."""

import itertools
import math
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ser_lightning.cli import main
from ser_lightning.cluster import checks_batch, checks_data, checks_disk, checks_services, checks_slurm, checks_space
from ser_lightning.cluster.checks import Finding, Work, nearest, read_work, size
from ser_lightning.cluster.checks_batch import Step
from ser_lightning.cluster.doctor import examine, refuse
from ser_lightning.cluster.settings import Slurm
from ser_lightning.config.compose import compose
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.prepare import prepare
from ser_lightning.runs.train import train
from ser_lightning.sweeps.sweep import sweep

STEP = Step(device="cpu", resident=600 * 2**20, on_gpu=0, gpu=0, seconds=5.0, steps=10)
SPACE = {"model.hidden_dim": [4, 32, 8], "training.batch_size": [16, 4], "training.learning_rate": [0.001, 0.1]}


@pytest.fixture
def sweep_file(tmp_path: Path) -> Callable[..., Path]:
    """A sweep over the tiny corpus's words, with these settings of its study and this space."""

    def make(space: dict[str, Any] | None = None, **study: Any) -> Path:
        path = tmp_path / "s.yaml"
        path.write_text(yaml.safe_dump({"study": {"trials": 3, **study}, "space": space or SPACE}), encoding="utf-8")
        return path

    return make


@pytest.fixture
def base(tiny: list[str]) -> list[str]:
    """The tiny training's words, less those that each trial sets itself."""
    return [word for word in tiny if word.partition("=")[0] not in SPACE]


@pytest.fixture
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_slurm.shutil, "which", lambda name: None)


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {one.what: one for one in found}


def only(found: Any) -> Finding:
    (one,) = found
    return one  # type: ignore[no-any-return]


def all_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.usefixtures("no_slurm")
def test_a_training_that_can_go_passes_and_leaves_nothing(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = all_in(tmp_path)
    assert main(["doctor", "train", *tiny, "slurm.mem=64G", "slurm.time=8:00:00"]) == 0
    assert all_in(tmp_path) == before
    shown = " ".join(capsys.readouterr().out.split())
    for name in ("configuration", "corpus", "split", "features", "disk", "dry batch", "W&B", "tasks", "signal"):
        assert name in shown


@pytest.mark.usefixtures("no_slurm")
def test_words_that_are_wrong_end_it_at_once(tiny: list[str]) -> None:
    found = only(examine("train", [*tiny, "model.hiden_dim=3"], None, Slurm()))
    assert (found.what, found.level) == ("configuration", "fail")
    assert "did you mean `hidden_dim`" in found.found
    assert main(["doctor", "tran", *tiny]) == 2
    assert main(["doctor", "train", *tiny, "slurm.tim=3"]) == 2
    with pytest.raises(UserError, match=r"nothing is submitted:\n  configuration: .*hiden_dim"):
        refuse("train", [*tiny, "model.hiden_dim=3"], None, Slurm())


def test_an_incomplete_corpus_is_refused_without_trying_a_batch(tiny: list[str], tmp_path: Path) -> None:
    table = tmp_path / "corpus.csv"
    table.write_text("path,label,speaker\nnone.wav,high,s0\n", encoding="utf-8")
    words = [word for word in tiny if not word.startswith("corpus.root")]
    found = by_name(examine("train", [*words, f"corpus.root={table}"], None, None))
    assert found["corpus"].level == "fail"
    assert "none.wav" in found["corpus"].found
    assert "dry batch" not in found
    assert found["runs_dir"].level == "ok"


def test_a_split_that_leaks_is_refused(tiny: list[str], tmp_path: Path) -> None:
    prepared = prepare(compose(tiny).config)
    rows = "".join(
        f"{u.id},{('train', 'validation', 'test')[i % 3]}\n" for i, u in enumerate(prepared.corpus.utterances)
    )
    (tmp_path / "parts.csv").write_text(f"id,part\n{rows}", encoding="utf-8")
    words = [word for word in tiny if not word.startswith("split.")]
    found = by_name(examine("train", [*words, "split=file", f"split.file={tmp_path / 'parts.csv'}"], None, None))
    assert found["split"].level == "fail"
    assert "speaker" in found["split"].found


def test_a_device_that_is_not_there_fails_the_dry_batch_with_its_words(tiny: list[str]) -> None:
    found = by_name(examine("train", [*tiny, "training.accelerator=mps"], None, None))["dry batch"]
    assert found.level == "fail"
    assert "training.accelerator=mps: not available here" in found.found


@pytest.mark.skipif("__import__('torch').cuda.is_available()")
def test_a_gpu_can_only_be_tried_on_a_node(tiny: list[str]) -> None:
    cuda, auto = (compose([*tiny, f"training.accelerator={name}"]).config for name in ("cuda", "auto"))
    assert checks_batch.elsewhere(cuda, None)
    assert checks_batch.elsewhere(auto, Slurm(gpus=1))
    assert not checks_batch.elsewhere(auto, Slurm())


def test_runs_are_those_of_folds_seeds_and_trials(base: list[str], sweep_file: Callable[..., Path]) -> None:
    def count(kind: str, *words: str) -> int:
        work = read_work(kind, words, None)
        return checks_data.count_runs(work, prepare(work.config))

    folds = [*(word for word in base if not word.startswith("split.")), "split=kfold", "split.k=3"]
    assert count("train", *base) == 1
    assert count("crossval", *folds, "seeds=2") == 6
    assert count("sweep", str(sweep_file(trials=7)), *base) == 7
    assert count("sweep", str(sweep_file(trials=7, crossval={"folds": None})), *folds) == 21
    with pytest.raises(UserError, match=r"folds=4: the split has 3"):
        count("sweep", str(sweep_file(crossval={"folds": 4})), *folds)


def test_missing_features_are_counted_and_their_size_is_near(tiny: list[str], tmp_path: Path) -> None:
    words = [*(word for word in tiny if not word.startswith("cache_dir")), f"cache_dir={tmp_path / 'cache'}"]
    work = read_work("train", words, None)
    prepared = prepare(work.config)
    count, needed = checks_data.missing_bytes(work, prepared, [work.config])
    assert count == 36  # the tiny corpus; mfcc_lstm reads one stream
    prepared.fill(["mfcc"], prepared.corpus.utterances)
    stored = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.safetensors"))
    assert needed == pytest.approx(stored, rel=0.15)
    assert checks_data.missing_bytes(work, prepared, [work.config]) == (0, 0)
    assert checks_data.stream_bytes(prepared) == pytest.approx(stored, rel=0.05)


def test_the_largest_trial_is_that_of_the_whole_grid(base: list[str], sweep_file: Callable[..., Path]) -> None:
    work = read_work("sweep", [str(sweep_file()), *base], None)
    prepared = prepare(work.config)
    found = checks_space.largest(work, prepared)
    assert (found.model["hidden_dim"], found.training.batch_size) == (32, 16)
    weights = {}
    for hidden, batch in itertools.product([4, 32, 8], [16, 4]):
        config = compose([*base, f"model.hidden_dim={hidden}", f"training.batch_size={batch}"]).config
        weights[hidden, batch] = checks_space.footprint(replace(prepared, config=config))
    assert max(weights, key=weights.__getitem__) == (32, 16)


def test_what_a_run_keeps_and_holds_is_what_its_checkpoints_weigh(tiny: list[str]) -> None:
    class InTheSecondEpoch(StopRequest):
        def step_ends(self, trainer: Any) -> None:
            if trainer.current_epoch == 1:
                self.request("a test", 143)

    config = compose([*tiny, "model.hidden_dim=128"]).config
    kept, working = checks_disk.kept_bytes(prepare(config))
    folder = Path(config.runs_dir)
    with pytest.raises(StoppedError):
        train(config, InTheSecondEpoch())
    (last,) = folder.rglob("last.ckpt")
    assert last.stat().st_size == pytest.approx(working / 2, rel=0.02)
    run = train(config)
    weighed = sum(path.stat().st_size for path in run.checkpoints.glob("*.ckpt"))
    assert weighed == pytest.approx(kept, rel=0.04)


def test_a_disk_too_small_is_refused(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    work = read_work("train", tiny, None)
    prepared = prepare(work.config)
    kept, working = checks_disk.kept_bytes(prepared)
    needed = 100 * (kept + checks_disk.OTHERS) + working

    def row(free: int) -> Finding:
        monkeypatch.setattr(shutil, "disk_usage", lambda place: type("U", (), {"free": free}))
        return next(iter(checks_disk.disk(work, work.config, None, prepared, 100, 0)))

    assert [row(free).level for free in (needed - 1, needed + 1, needed * 2)] == ["fail", "warn", "ok"]
    assert f"100 x {size(kept + checks_disk.OTHERS)}" in row(needed).found


def test_memory_is_held_against_what_is_asked_for(tiny: list[str]) -> None:
    config = compose([*tiny, "training.devices=2"]).config
    work = Work(config)

    def row(mem: str, kept: int = 0) -> Finding:
        return checks_batch.memory(work, config, Slurm(mem=mem), STEP, kept)

    # Two ranks, each with the process that starts it, 600 MiB each.
    assert [row(mem).level for mem in ("2399M", "2900", "3001M")] == ["fail", "warn", "ok"]
    assert row("3001M", kept=500 * 2**20).level == "fail"
    # Of a laptop's two ranks one process starts both.
    assert "about 1.8 GiB for 3 processes" in checks_batch.memory(work, config, None, STEP, 0).found
    gpu = replace(STEP, device="cuda:0", on_gpu=9e9, gpu=8e9)
    assert checks_batch.memory(work, config, None, gpu, 0).level == "fail"
    assert checks_batch.memory(work, config, None, replace(gpu, on_gpu=1e9), 0).level == "ok"


@pytest.mark.parametrize(
    ("written", "mebibytes"), [("500", 500), ("500M", 500), ("2G", 2048), ("1T", 2**20), ("1024K", 1), ("0", 0)]
)
def test_amounts_of_memory(written: str, mebibytes: int) -> None:
    assert checks_batch.in_bytes(written) == mebibytes * 2**20
    with pytest.raises(UserError, match=r"slurm\.mem=2GB"):
        checks_batch.in_bytes("2GB")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 5400), ("1:30", 90), ("8:00:00", 28800), ("1-12", 129600), ("1-0:30", 88200), ("2-1:01:01", 176461)],
)
def test_time_limits(written: str, seconds: int) -> None:
    assert checks_slurm.seconds_of(written) == seconds
    assert checks_slurm.seconds_of("UNLIMITED") is None
    with pytest.raises(UserError, match=r"slurm\.time=soon"):
        checks_slurm.seconds_of("soon")


def test_devices_that_are_not_asked_for_are_refused(base: list[str], sweep_file: Callable[..., Path]) -> None:
    two = Work(compose([*base, "training.accelerator=cuda", "training.devices=2"]).config)
    assert checks_slurm.resources(two, Slurm()).level == "ok"  # null asks for training.devices
    short = checks_slurm.resources(two, Slurm(gpus=1))
    assert (short.level, short.remedy) == ("fail", "slurm.gpus=2, or fewer training.devices")
    nodes = read_work("sweep", [str(sweep_file()), *base, "training.num_nodes=2"], None)
    assert checks_slurm.resources(nodes, Slurm()).level == "fail"
    crowd = read_work("sweep", [str(sweep_file()), *base, "jobs=6"], None)
    assert checks_slurm.resources(crowd, Slurm()).remedy == "slurm.cpus_per_task=6"


def test_a_warning_must_leave_time_for_a_step(tiny: list[str]) -> None:
    work = Work(compose(tiny).config)

    def levels(**settings: Any) -> dict[str, str]:
        return {one.what: one.level for one in checks_slurm.signals(work, Slurm(**settings), STEP)}

    assert [levels(signal=s)["signal"] for s in (5, 34, 35)] == ["fail", "warn", "ok"]
    online = replace(work, config=replace(work.config, tracking=replace(work.config.tracking, mode="online")))
    assert only(checks_slurm.signals(online, Slurm(signal=90), STEP)).remedy == "slurm.signal=95"
    assert levels(options=["--no-requeue"])["requeue"] == "fail"
    assert levels(options=["--signal=B:USR1@5"])["signal"] == "warn"
    # 10 steps of 5 s an epoch.
    assert levels(time="0:139")["time limit"] == "warn"
    assert levels(time="0:140")["time limit"] == "ok"


def test_what_the_controller_and_sbatch_say(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(name: str, script: str) -> None:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    command("scontrol", "echo 'JobRequeue              = 1'; echo 'KillWait                = 30 sec'")
    found = only(checks_slurm.controller(STEP))
    assert (found.level, found.found) == ("ok", "jobs are requeued; 30 s from TERM to KILL")
    assert only(checks_slurm.controller(replace(STEP, seconds=31.0))).level == "warn"
    command("scontrol", "exit 1")
    assert "scontrol ended with exit code 1: not checked" in only(checks_slurm.controller(STEP)).found
    command("sbatch", f'echo "$@" > {tmp_path}/asked; cat > {tmp_path}/script')
    assert checks_slurm.accepted("train", tiny, None, Slurm(account="us")).level == "ok"
    assert "--test-only" in (tmp_path / "asked").read_text()
    assert "--account=us" in (tmp_path / "script").read_text()
    command("sbatch", "echo no such account >&2; exit 1")
    with pytest.raises(UserError, match="no such account"):
        checks_slurm.accepted("train", tiny, None, Slurm())


def test_locks_are_tried_where_runs_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearest(tmp_path / "a" / "b") == tmp_path
    assert "keeps locks" in checks_services.locks(tmp_path / "a" / "b")
    assert not all_in(tmp_path)
    with pytest.raises(UserError, match="/proc: cannot be written"):
        checks_services.locks("/proc/none/runs")
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    with pytest.raises(UserError, match="grants one lock twice"):
        checks_services.locks(tmp_path)


def test_a_studys_storage_is_opened_and_nothing_is_left(
    base: list[str], tmp_path: Path, sweep_file: Callable[..., Path]
) -> None:
    studies = f"studies_dir={tmp_path / 'studies'}"

    def row(*words: str, **study: Any) -> Finding:
        work = read_work("sweep", [str(sweep_file(**study)), *base, studies, *words], None)
        before = all_in(tmp_path)
        assert work.sweep
        found = checks_services.storage(work, work.sweep)
        assert all_in(tmp_path) == before
        return found

    assert row().level == row(storage=f"sqlite:///{tmp_path}/new.db").level == "ok"
    with pytest.raises(UserError, match="cannot be reached") as refused:
        row(storage="postgresql+psycopg://me:hushhush@127.0.0.1:1/db")
    assert "hushhush" not in str(refused.value)
    sweep([str(sweep_file(trials=1)), *base, studies, "training.max_epochs=1"])
    assert "goes on with" in row("training.max_epochs=1", trials=1).found
    with pytest.raises(UserError, match=r"began with something else: base\.training\.max_epochs"):
        row("training.max_epochs=2", trials=1)


def test_wandb_online_needs_a_key_and_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    online = replace(compose(["experiment=demo_fused"]).config.tracking, mode="online")
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setattr("ser_lightning.tracking.server.getproxies", dict)
        assert checks_services.wandb(online, {}).level == "fail"
        assert checks_services.wandb(replace(online, mode="offline"), {}).level == "ok"
        assert checks_services.wandb(online, {"WANDB_API_KEY": "k"}).level == "ok"
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password k\n", encoding="utf-8")
        (tmp_path / ".netrc").chmod(0o600)
        assert checks_services.wandb(online, {}).level == "ok"
    found = checks_services.wandb(online, {})
    assert found.level == "warn"
    assert "does not answer" in found.found


def test_a_sweep_is_examined_on_its_largest_trial(base: list[str], sweep_file: Callable[..., Path]) -> None:
    words = [str(sweep_file()), *base]
    found = by_name(examine("sweep", words, None, None))
    assert not [one for one in found.values() if one.level == "fail"]
    assert "the largest configuration in the space, 16 of the longest" in found["dry batch"].found
    assert math.isfinite(float(found["dry batch"].found.partition("on cpu: ")[2].partition(" s")[0]))
    assert "3 runs" in found["split"].found
