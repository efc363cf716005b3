"""Ranges of values: what a type cannot say and a training would find out late, or never."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from ser_lightning.config.components import target
from ser_lightning.config.shapes import MISSING
from ser_lightning.errors import ConfigError

Rule = tuple[Callable[[float], bool], str]

COUNT: Rule = (lambda v: v >= 1, "must be at least 1")
COUNT_OR_NONE: Rule = (lambda v: v >= 0, "must be 0 or more")
POSITIVE: Rule = (lambda v: 0 < v < math.inf, "must be above 0 and finite")
PENALTY: Rule = (lambda v: 0 <= v < math.inf, "must be 0 or more and finite")
SHARE: Rule = (lambda v: 0 <= v <= 1, "must be from 0 to 1")

TRAINING: dict[str, Rule] = {
    "max_epochs": COUNT,
    "batch_size": COUNT,
    "max_frames": (lambda v: v >= 1, "must be at least 1; null divides no batch"),
    "limit_train_batches": (
        lambda v: 0 < v < 1 or (v >= 1 and float(v).is_integer()),
        "must be a whole number of batches, or a share of them above 0 and below 1",
    ),
    "learning_rate": POSITIVE,
    "weight_decay": PENALTY,
    "label_smoothing": (lambda v: 0 <= v < 1, "must be from 0 to below 1"),
    "mixup": PENALTY,
    "gradient_clip_val": (lambda v: v > 0, "must be above 0; null does not clip"),
    "accumulate_grad_batches": COUNT,
    "patience": (lambda v: v >= 1, "must be at least 1; null never stops early"),
    "num_workers": COUNT_OR_NONE,
    "devices": COUNT,
    "num_nodes": COUNT,
    "waveform.copies": COUNT_OR_NONE,
    "spec_augment.time_masks": COUNT_OR_NONE,
    "spec_augment.time_fraction": SHARE,
    "spec_augment.mel_masks": COUNT_OR_NONE,
    "spec_augment.mel_fraction": SHARE,
}

TRACKING: dict[str, Rule] = {"utterances": COUNT_OR_NONE, "audio": COUNT_OR_NONE}

TEXTS = {
    "project": (128, "/\\#?%:"),
    "entity": (128, "/\\#?%: "),
    "group": (128, ""),
    "name": (128, ""),
    "job_type": (64, ""),
    "tags": (64, ""),
}
"""Most characters of each name that W&B takes, and those that may not be in it."""

FRAMES: Rule = (lambda v: v >= 1, "must be at least 1; null pads utterances instead")


def check(tree: Mapping[str, Any], place: Callable[[str], str]) -> None:
    """Check a typed configuration; `place` says of a key where its value comes from.

    Raises:
        ConfigError: a value is out of its range, names no learner, or asks for another one that is not given.
    """
    rules = {f"training.{key}": rule for key, rule in TRAINING.items()}
    rules |= {f"tracking.{key}": rule for key, rule in TRACKING.items()}
    rules["extraction_workers"] = COUNT
    rules |= {f"features.{stream}.frames": FRAMES for stream in tree["features"]}
    for key, (holds, text) in rules.items():
        value = _at(tree, key)
        # null, and in a preview `???`, are no numbers to judge.
        if isinstance(value, int | float) and not holds(value):
            raise ConfigError(f"{key}={value}: {text}{place(key)}")
    target("learner", tree["training"]["learner"])
    _check_schedule(tree["training"], place)
    _check_imbalance(tree["training"], place)
    _check_waveform(tree["training"]["waveform"], place)
    _check_tracking(tree["tracking"], place)


def _check_schedule(training: Mapping[str, Any], place: Callable[[str], str]) -> None:
    if training["schedule"] == "steps" and not training["milestones"]:
        source = place("training.schedule")
        raise ConfigError(
            "training.schedule=steps: give the epochs at which the learning rate falls, "
            f"such as training.milestones=[10,20]{source}"
        )


def _check_imbalance(training: Mapping[str, Any], place: Callable[[str], str]) -> None:
    if training["sampler"] == training["class_weights"] == "balanced":
        source = place("training.sampler")
        raise ConfigError(
            "training.sampler=balanced: with training.class_weights=balanced it counters imbalance twice; "
            f"set one of them back{source}"
        )


def _check_waveform(waveform: Mapping[str, Any], place: Callable[[str], str]) -> None:
    speeds, snr = waveform["speeds"], waveform["snr"]
    if MISSING in (speeds, snr, waveform["copies"]):
        return
    if not all(0.5 <= speed <= 2 and math.isclose(100 * speed, round(100 * speed)) for speed in speeds):
        key = "training.waveform.speeds"
        raise ConfigError(f"{key}={speeds}: each must be from 0.5 to 2, in hundredths{place(key)}")
    if snr and not (len(snr) == 2 and -math.inf < snr[0] <= snr[1] < math.inf):
        key = "training.waveform.snr"
        raise ConfigError(f"{key}={snr}: must be the least and the greatest ratio in dB, such as [10,30]{place(key)}")
    if waveform["copies"] and not snr and set(speeds) <= {1.0}:
        key = "training.waveform.copies"
        raise ConfigError(
            f"{key}={waveform['copies']}: variants would not differ from their utterances; give "
            f"training.waveform.speeds or training.waveform.snr{place(key)}"
        )


def _check_tracking(tracking: Mapping[str, Any], place: Callable[[str], str]) -> None:
    """Also where nothing is sent at once: `ser sync` would find it out when the training is over."""
    for key, (most, refused) in TEXTS.items() if tracking["mode"] != "off" else ():
        for text in [tracking[key]] if isinstance(tracking[key], str | None) else tracking[key]:
            found = refused_name(text, most, refused)
            if found:
                raise ConfigError(f"tracking.{key}={text}: {found}, and W&B would refuse it{place(f'tracking.{key}')}")


def refused_name(text: str | None, most: int, characters: str) -> str:
    """Why W&B takes no such name; empty where it does, or where there is none."""
    if text is None or text == MISSING:
        return ""
    if not text.strip():
        return "it is empty"
    if len(text) > most:
        return f"it has {len(text)} characters, more than {most}"
    if met := sorted(set(text) & set(characters)):
        return f"it has {' '.join(met)}, none of which may be in it ({' '.join(characters)})"
    return ""


def _at(tree: Mapping[str, Any], key: str) -> Any:
    value: Any = tree
    for part in key.split("."):
        value = value[part]
    return value
