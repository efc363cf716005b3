"""One dry batch: a real training of one step on the longest utterances, in a process and a folder that go away."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ser_lightning.cluster.checks import Finding, Work, size
from ser_lightning.cluster.settings import Slurm
from ser_lightning.config.compose import bind
from ser_lightning.config.schema import Config
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.data.splits import Part
from ser_lightning.errors import UserError
from ser_lightning.files import write_json
from ser_lightning.processes.launcher import follow, start, without_scheduler
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.prepare import make_learner, prepare
from ser_lightning.training.device import find_device
from ser_lightning.training.history import read_history
from ser_lightning.training.lightning_learner import LightningLearner
from ser_lightning.training.memory import peak_memory

TIGHT = 0.8
"""Share of the memory above which a training may not fit after all."""
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Step:
    """What one step took."""

    device: str
    resident: float
    """Bytes of the process's memory, at the most."""
    on_gpu: float
    """Bytes of the GPU's memory, at the most; 0 on a CPU."""
    gpu: float
    """Bytes that the GPU has."""
    seconds: float
    """Of the step, the first of its process, and of one validation batch."""
    steps: int
    """Of an epoch of the whole training part."""


def dry_step(config: Config) -> Step | None:
    """Train one step of the configuration; None for a learner that knows no steps.

    Raises:
        UserError: it failed; the end of what it said is told.
    """
    with TemporaryDirectory(prefix="ser-doctor-") as folder:
        place = Path(folder)
        arguments = (asdict(config), folder)
        child = start("dry batch", _step, arguments, without_scheduler(), torch.get_num_threads(), place / "log")
        follow([child], StopRequest())
        found = json.loads((place / "step.json").read_text(encoding="utf-8"))
    return Step(**found) if found else None


def _step(tree: dict[str, Any], folder: str) -> None:
    config, place = bind(tree, "the largest configuration"), Path(folder)
    found = prepare(config)
    parts, _ = found.split()
    longest = [u for part in ("train", "validation") for u in _longest(found.corpus.utterances, parts, part, config)]
    corpus = replace(found.corpus, utterances=tuple(longest), problems=(), left_out=Counter())
    prepared = replace(found, config=_one_step(config, folder), corpus=corpus)
    learner = make_learner(prepared)
    if not isinstance(learner, LightningLearner):
        write_json(place / "step.json", None)
        return
    device = find_device(prepared.config.training)
    data = prepared.data(parts, ("train", "validation"), learner.streams, device)
    learner.fit(data, place / "checkpoints", None, StopRequest())
    write_json(place / "step.json", asdict(_measured(device, place, _steps(config, parts))))


def _steps(config: Config, parts: Mapping[str, Part]) -> int:
    rows = sum(part == "train" for part in parts.values()) * (1 + config.training.waveform.copies)
    return -(-rows // (config.training.batch_size * config.training.ranks))


def _measured(device: torch.device, place: Path, steps: int) -> Step:
    gpu = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0
    return Step(
        str(device),
        peak_memory(torch.device("cpu")) * 2**20,
        peak_memory(device) * 2**20 if gpu else 0,
        gpu,
        read_history(place / "metrics.csv")[-1]["seconds"] or 0.0,
        steps,
    )


def _longest(rows: Sequence[Utterance], parts: Mapping[str, Part], part: str, config: Config) -> list[Utterance]:
    own = sorted((u for u in rows if parts[u.id] == part), key=lambda u: -u.seconds)
    return own[: config.training.batch_size]


def _one_step(config: Config, folder: str) -> Config:
    """One step of one rank; what is drawn or weighed by all rows would find too few of them."""
    training = replace(
        config.training,
        max_epochs=1,
        limit_train_batches=None,
        accumulate_grad_batches=1,
        class_weights="none",
        sampler="all",
        waveform=replace(config.training.waveform, copies=0),
        patience=None,
        keep_epochs=False,
        devices=1,
        num_nodes=1,
        num_workers=0,
    )
    return replace(config, training=training, cache_dir=folder, scratch_dir=None, extraction_workers=1)


def elsewhere(config: Config, slurm: Slurm | None) -> str:
    """Why this machine's device is not the one that is asked for; nothing where it is."""
    wanted = config.training.accelerator == "cuda" or (
        config.training.accelerator == "auto" and slurm is not None and bool(slurm.gpus)
    )
    return "it wants a GPU, and there is none here" if wanted and not torch.cuda.is_available() else ""


def memory(work: Work, config: Config, slurm: Slurm | None, step: Step | None, features: int) -> Finding:
    """A step's peak against the memory there is, with the features of the corpus kept beside it."""
    if step is None:
        return Finding("dry batch", "ok", f"training.learner={config.training.learner} knows no batches")
    kept = features if config.training.keep_on_device != "no" else 0
    text = (
        f"{described(work, config)} on {step.device}: {step.seconds:.1f} s, peak {size(step.on_gpu or step.resident)}"
    )
    if step.gpu:
        return _on_gpu(step, kept if config.training.keep_on_device == "yes" else 0, text)
    return _in_memory(work, slurm, step.resident + kept, text)


def described(work: Work, config: Config) -> str:
    """A configuration for people."""
    which = "the largest configuration in the space" if work.sweep else f"model {config.model['name']}"
    return f"{which}, {config.training.batch_size} of the longest utterances, precision {config.training.precision}"


def _on_gpu(step: Step, kept: int, text: str) -> Finding:
    needed = step.on_gpu + kept
    text = f"{text} of {size(step.gpu)}" + (f", features {size(kept)}" if kept else "")
    remedy = "a smaller training.batch_size (with accumulate_grad_batches), or precision=bf16-mixed"
    if needed > step.gpu:
        return Finding("dry batch", "fail", text, remedy)
    return Finding("dry batch", "warn" if needed > TIGHT * step.gpu else "ok", text)


def _in_memory(work: Work, slurm: Slurm | None, one: float, text: str) -> Finding:
    # srun starts a process for each rank, which starts the one that trains.
    started = work.processes if slurm and not (work.crossval or work.sweep) else 1
    count = work.processes + (started if work.children else 0)
    needed, limit = one * count, in_bytes(slurm.mem) if slurm and slurm.mem else 0
    text = f"{text}; a node needs about {size(needed)} for {count} process{'es' * (count > 1)}"
    if not limit:
        return Finding("dry batch", "ok", text)
    text = f"{text} of slurm.mem={slurm.mem}"  # type: ignore[union-attr]
    if needed > limit:
        return Finding("dry batch", "fail", text, f"slurm.mem={needed / 2**30 / TIGHT:.0f}G, or a smaller batch_size")
    return Finding("dry batch", "warn" if needed > TIGHT * limit else "ok", text)


def in_bytes(mem: str) -> float:
    """What sbatch's --mem means: mebibytes where no unit is named; 0 is all that the node has.

    Raises:
        UserError: it is no amount.
    """
    number, unit = (mem[:-1], mem[-1].upper()) if mem[-1:].isalpha() else (mem, "M")
    if unit not in UNITS or not number.isdigit():
        raise UserError(f"slurm.mem={mem}: is no amount of memory; write 32G, or 500M")
    return float(int(number) * UNITS[unit])
