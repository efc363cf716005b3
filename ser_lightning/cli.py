"""The command line: one table, verb -> function. Nothing heavy is imported before the configuration is checked."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ser_lightning import __version__
from ser_lightning.config.components import hint, load
from ser_lightning.config.compose import compose
from ser_lightning.config.show import print_choices
from ser_lightning.console import console
from ser_lightning.errors import ConfigError, UserError


@dataclass(frozen=True)
class Verb:
    """`target` is called with what it `takes`; `shown` prints what it returns."""

    target: str
    help: str
    takes: Literal["config", "preview", "run"] = "config"
    """The checked configuration; a preview that may lack values; or a run and its configuration."""
    words: tuple[str, ...] = ()
    """Put before the words of the command line."""
    shown: str | None = None


SUMMARY = "ser_lightning.runs.summary:show"

VERBS = {
    "demo": Verb(
        "ser_lightning.runs.demo:demo",
        "train and evaluate on a synthetic corpus, from nothing",
        words=("experiment=demo_fused",),
        shown="ser_lightning.runs.demo:show",
    ),
    "config": Verb(
        "ser_lightning.config.show:show",
        "print the composed configuration and where each value comes from",
        takes="preview",
    ),
    "corpus": Verb("ser_lightning.runs.corpus:inspect_corpus", "files, speakers, hours, classes and problems"),
    "features": Verb("ser_lightning.runs.prepare:fill_features", "fill the feature store ahead of training"),
    "train": Verb("ser_lightning.runs.train:train", "train one model and score its validation part", shown=SUMMARY),
    "evaluate": Verb(
        "ser_lightning.runs.evaluate:evaluate", "score the test part of a finished run", takes="run", shown=SUMMARY
    ),
}
"""A verb of two words is looked up before one of one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns the process's exit code: 2 for a command line that can't be understood."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _main(words)
    except UserError as error:
        console.print(f"ser: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("ser: interrupted", style="red")
        return 130


def _main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        return _overview()
    if words[0] == "--version":
        print(__version__)
        return 0
    count = 2 if " ".join(words[:2]) in VERBS else 1
    name = " ".join(words[:count])
    if name not in VERBS:
        raise ConfigError(f"unknown verb `{name}`{hint(name, VERBS)}")
    options, rest = _parser(name).parse_known_args(words[count:])
    return _run(name, VERBS[name], options, rest)


def _overview() -> int:
    print("usage: ser VERB [group=choice ...] [key=value ...]\n")
    for name, verb in VERBS.items():
        print(f"  {name:<17}{verb.help}")
    print("\n`ser VERB --help` lists groups and choices; `ser config ...` shows what a command would run with.")
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"ser {name}", add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--conf", metavar="DIR")
    return parser


def _run(name: str, verb: Verb, options: argparse.Namespace, words: list[str]) -> int:
    if options.help:
        print(
            f"usage: ser {name} {'RUN ' if verb.takes == 'run' else ''}[--conf DIR] [group=choice ...] [key=value ...]"
            "\n\n"
            f"{verb.help}\n\n"
            "  --conf DIR  a folder searched before the packaged conf/ (default: conf/ where you stand)\n"
        )
        print_choices(options.conf)
        return 0
    if verb.takes == "run":
        found = load("ser_lightning.runs.folder:open_run")(*_run_and_overrides(name, words))
        result = load(verb.target)(*found)
    else:
        preview = verb.takes == "preview"
        composed = compose([*verb.words, *words], options.conf, complete=not preview)
        result = load(verb.target)(composed if preview else composed.config)
    if verb.shown:
        load(verb.shown)(result)
    return 0


def _run_and_overrides(name: str, words: list[str]) -> tuple[str, list[str]]:
    if not words or "=" in words[0]:
        raise ConfigError(f"ser {name}: name a run (a folder, or its name under runs_dir) before the overrides")
    return words[0], words[1:]
