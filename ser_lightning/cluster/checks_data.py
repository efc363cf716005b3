"""The corpus, its split, and what the feature store lacks of it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ser_lightning.cluster.checks import Finding, Work, size
from ser_lightning.config.schema import Config
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.errors import ConfigError
from ser_lightning.features.extractor import Extractor, extractor_key
from ser_lightning.features.store import Reader
from ser_lightning.runs.prepare import Prepared, make_learner
from ser_lightning.sweeps.parameters import Range
from ser_lightning.sweeps.pruning import check_folds

FLOAT = 4
"""Bytes of a stored number."""


def corpus(prepared: Prepared) -> Finding:
    """Files, speakers, hours; what is odd about them."""
    found = prepared.corpus
    speakers, hours = {u.speaker for u in found.utterances}, sum(u.seconds for u in found.utterances) / 3600
    counts = ", ".join(f"{found.counts[label]} {label}" for label in found.classes)
    text = f"{len(found.utterances)} utterances of {len(speakers)} speakers, {hours:.2f} h: {counts}"
    if not found.problems:
        return Finding("corpus", "ok", text)
    kinds = ", ".join(sorted({problem.kind for problem in found.problems}))
    return Finding("corpus", "warn", f"{text}; {len(found.problems)} files are {kinds}", "look at `ser corpus`")


def count_runs(work: Work, prepared: Prepared) -> int:
    """Trainings in all, each with its split proven.

    Raises:
        LeakError: parts share what they must not.
        UserError: the split or a setting can't be used.
    """
    if work.crossval:
        return len(plan(prepared, work.crossval).tasks)
    if work.sweep and (inner := work.sweep.study.crossval):
        folds = len(plan(prepared, Settings()).tasks)
        if inner.folds is not None and inner.folds > folds:
            raise ConfigError(f"study.crossval.folds={inner.folds}: the split has {folds}; null takes all")
        return work.sweep.study.trials * (inner.folds or folds)
    prepared.split()
    return work.sweep.study.trials if work.sweep else 1


def split(work: Work, prepared: Prepared, runs: int) -> Finding:
    """How many runs there are, and what their figures have to be read with."""
    first = replace(prepared, config=replace(work.config, split=dict(work.config.split)))
    labels = first.split()[1].labels
    text = f"{runs} run{'s' * (runs > 1)}, parts proven disjoint" + (f" ({', '.join(labels)})" if labels else "")
    note = check_folds(work.sweep) if work.sweep else ""
    return Finding("split", "warn" if note else "ok", f"{text}{f'; {note}' if note else ''}")


def missing_bytes(work: Work, prepared: Prepared, configs: Sequence[Config]) -> tuple[int, int]:
    """Utterances of streams that the store lacks, and the bytes that they will take, over all of `configs`.

    Counted over the whole corpus. Of a searched range of window sizes only the ends are among them: each trial may
    need features of its own then.
    """
    rows = prepared.corpus.utterances
    lacking = [_missing(replace(prepared, config=config), rows) for config in configs]
    once = {key: found for one in lacking for key, found in one.items()}
    total = [sum(column) for column in zip(*once.values(), strict=True)] if once else [0, 0]
    ranges = [p for p in (work.sweep.searched.parameters if work.sweep else ()) if isinstance(p, Range)]
    if work.sweep and any(p.key.startswith("features.") for p in ranges):
        most = max(
            ([sum(column) for column in zip(*one.values(), strict=True)] for one in lacking if one), default=[0, 0]
        )
        total = [max(a, work.sweep.study.trials * b) for a, b in zip(total, most, strict=True)]
    return total[0], total[1]


def features(work: Work, missing: tuple[int, int]) -> Finding:
    """What has to be computed first, which is best done once, on CPUs."""
    count, needed = missing
    place = f"{work.config.cache_dir}/features"
    if not count:
        return Finding("features", "ok", f"all in {place}")
    text = f"{count} utterances of streams to be computed, about {size(needed)} in {place}"
    once = "" if work.sweep else "`ser features` with the same words, or slurm/features.sbatch, computes them ahead"
    return Finding("features", "warn" if work.crossval else "ok", text, once)  # folds would each compute them


def stream_bytes(prepared: Prepared) -> int:
    """Bytes of the whole corpus's features that a training reads."""
    return sum(
        _bytes(extractor, prepared.store.reader(extractor), prepared.corpus.utterances)
        for extractor in _extractors(prepared)
    )


def frames(extractor: Extractor, seconds: float) -> int:
    """About as many frames as an utterance of this length has."""
    return 1 if math.isinf(extractor.hop_seconds) else int(seconds / extractor.hop_seconds) + 1


def _missing(prepared: Prepared, rows: Sequence[Utterance]) -> dict[str, tuple[int, int]]:
    """Utterances and bytes by the key of each extractor that lacks any."""
    return dict(_lacking(prepared, rows))


def _lacking(prepared: Prepared, rows: Sequence[Utterance]) -> Iterator[tuple[str, tuple[int, int]]]:
    variants = 1 + prepared.config.training.waveform.copies
    for extractor in _extractors(prepared):
        reader = prepared.store.reader(extractor)
        absent = list({u.digest: u for u in rows if u.digest not in reader}.values())
        if absent:
            yield extractor_key(extractor), (len(absent) * variants, _bytes(extractor, reader, absent) * variants)


def _extractors(prepared: Prepared) -> list[Extractor]:
    """Of the streams that the model reads."""
    return [prepared.extractors[name] for name in make_learner(prepared).streams]


def _bytes(extractor: Extractor, reader: Reader, rows: Sequence[Utterance]) -> int:
    lengths = (reader.frames(u.digest) if u.digest in reader else frames(extractor, u.seconds) for u in rows)
    return FLOAT * extractor.dim * sum(lengths)
