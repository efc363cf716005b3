"""`ser doctor`: everything that hundreds of jobs would stumble over, before they are queued."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from ser_lightning.cluster import checks_batch, checks_data, checks_disk, checks_services, checks_slurm, checks_space
from ser_lightning.cluster.checks import Finding, Work, read_work
from ser_lightning.cluster.jobs import KINDS
from ser_lightning.cluster.settings import Slurm, slurm_settings
from ser_lightning.config.components import hint
from ser_lightning.config.schema import Config
from ser_lightning.console import answer
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.runs.prepare import Prepared, prepare

T = TypeVar("T")

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(words: Sequence[str], conf: str | None = None) -> list[Finding]:
    """Examine what `ser train`, `ser crossval` or `ser sweep` would do with the words after it, and show a table.

    Raises:
        ConfigError: no such verb, or a setting of SLURM is wrong.
        UserError: a check failed.
    """
    slurm, rest = slurm_settings(words, conf)
    if not rest or rest[0] not in KINDS:
        asked = f"`{rest[0]}`{hint(rest[0], KINDS)}" if rest else f"what? One of {', '.join(KINDS)}"
        raise ConfigError(f"ser doctor: {asked}")
    found = examine(rest[0], rest[1:], conf, slurm)
    answer(_table(found))
    if failed := [one.what for one in found if one.level == "fail"]:
        raise UserError(f"{len(failed)} of {len(found)} checks failed: {', '.join(failed)}")
    return found


def refuse(kind: str, words: Sequence[str], conf: str | None, slurm: Slurm) -> None:
    """Raises UserError: a check failed; each that did is told with its remedy."""
    failed = [one for one in examine(kind, words, conf, slurm) if one.level == "fail"]
    if failed:
        rows = (f"{one.what}: {one.found}" + (f"; {one.remedy}" if one.remedy else "") for one in failed)
        raise UserError("\n  ".join(["`ser doctor` refuses, and nothing is submitted:", *rows]))


def examine(kind: str, words: Sequence[str], conf: str | None, slurm: Slurm | None) -> list[Finding]:
    """All checks; where one fails, those that need what it looked at are left out.

    Nothing is left behind but digests of audio files in cache_dir, as by `ser corpus`.
    """
    rows = _Rows()
    work = rows.attempt("configuration", lambda: read_work(kind, words, conf))
    if work is None:
        return rows.found
    rows.add("configuration", lambda: [_described(work)])
    config = rows.attempt("corpus", lambda: prepare(work.config))
    largest = _examine_data(rows, work, config, slurm) if config else None
    rows.add("runs_dir", lambda: [Finding("runs_dir", "ok", checks_services.locks(work.config.runs_dir))])
    if frozen := work.sweep:
        rows.add("storage", lambda: [checks_services.storage(work, frozen)])
    rows.add("W&B", lambda: [checks_services.wandb(work.config.tracking)])
    if slurm:
        rows.add("tasks", lambda: [checks_slurm.resources(work, slurm)])
        rows.add("signal", lambda: checks_slurm.signals(work, slurm, largest))
        rows.add("cluster", lambda: checks_slurm.controller(largest))
        rows.add("sbatch", lambda: [checks_slurm.accepted(kind, words, conf, slurm)])
    return rows.found


class _Rows:
    """What was found so far."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def attempt(self, what: str, check: Callable[[], T]) -> T | None:
        """What a check returns, or a row that says why it can't."""
        try:
            return check()
        except UserError as error:
            self.found.append(Finding(what, "fail", str(error)))
            return None

    def add(self, what: str, check: Callable[[], Iterable[Finding]]) -> None:
        self.found += self.attempt(what, lambda: list(check())) or []


def _examine_data(rows: _Rows, work: Work, prepared: Prepared, slurm: Slurm | None) -> checks_batch.Step | None:
    """From the corpus to a dry batch, which is returned."""
    rows.add("corpus", lambda: [checks_data.corpus(prepared)])
    runs = rows.attempt("split", lambda: checks_data.count_runs(work, prepared))
    if runs is None:
        return None
    rows.add("split", lambda: [checks_data.split(work, prepared, runs)])
    missing = rows.attempt(
        "features", lambda: checks_data.missing_bytes(work, prepared, checks_space.trial_configs(work))
    )
    if missing is None:
        return None
    rows.add("features", lambda: [checks_data.features(work, missing)])
    largest = rows.attempt("model", lambda: checks_space.largest(work, prepared))
    if largest is None:
        return None
    rows.add("disk", lambda: checks_disk.disk(work, largest, slurm, prepared, runs, missing[1]))
    return _dry_batch(rows, work, largest, prepared, slurm)


def _dry_batch(
    rows: _Rows, work: Work, config: Config, prepared: Prepared, slurm: Slurm | None
) -> checks_batch.Step | None:
    if why := checks_batch.elsewhere(config, slurm):
        remedy = "`srun ser doctor ...` on a node that has one"
        rows.found.append(Finding("dry batch", "warn", f"{checks_batch.described(work, config)}: {why}", remedy))
        return None
    step = rows.attempt("dry batch", lambda: (checks_batch.dry_step(config),))
    if step is None:
        return None
    features = checks_data.stream_bytes(replace(prepared, config=config))
    rows.add("dry batch", lambda: [checks_batch.memory(work, config, slurm, step[0], features)])
    return step[0]


def _described(work: Work) -> Finding:
    config = work.config
    text = f"{config.corpus['name']}, split {config.split['name']}, model {config.model['name']}"
    if work.sweep:
        study = work.sweep.study
        text = f"{text}; study {study.name}: {study.trials} trials over {', '.join(work.sweep.searched.names)}"
    return Finding("configuration", "ok", text)


def _table(found: Sequence[Finding]) -> Table:
    table = Table("checked", "", "found, and what to do")
    for one in found:
        remedy = ("\n", (one.remedy, "bold")) if one.remedy else ()
        table.add_row(one.what, Text(one.level, COLOURS[one.level]), Text.assemble(one.found, *remedy))
    return table
