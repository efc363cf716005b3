"""The command line: one table, verb -> function. Nothing heavy is imported before the configuration is checked."""

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from ser_lightning import __version__
from ser_lightning.config.components import hint, load
from ser_lightning.config.compose import compose
from ser_lightning.config.places import expanded
from ser_lightning.config.settings import docs, names_and, taken
from ser_lightning.config.show import print_choices
from ser_lightning.console import any_text, say, written
from ser_lightning.errors import ConfigError, StoppedError, UserError, in_words
from ser_lightning.loading import only_modules_made, torchmetrics_alone
from ser_lightning.processes.signals import SCHEDULERS, stopping


@dataclass(frozen=True)
class Verb:
    """`target` is called with what it `takes`; `shown` prints what it returns."""

    target: str
    help: str
    takes: Literal["config", "preview", "run", "words", "recipe"] = "config"
    """The checked configuration; a preview that may lack values; a run and its configuration; the words; or the words
    and the folder of --conf."""
    words: tuple[str, ...] = ()
    """Put before the words of the command line."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Switches beside the configuration (`dry_run` is `--dry-run`) with their help; given by keyword."""
    settings: str | None = None
    """The dataclass of the settings it takes beside a configuration (by position, after it) or beside words."""
    prefix: str = ""
    """What their keys begin with on the command line."""
    shown: str | None = None
    trains: bool = False
    """Whether it trains, and so logs to W&B, in this process."""
    tracks: bool = False
    """Whether it logs to W&B here or in other processes."""
    usage: str = "[--conf DIR] [group=choice ...] [key=value ...]"

    @property
    def composes(self) -> bool:
        """Whether it reads conf/, so that --conf and the groups mean something."""
        return self.takes in ("config", "preview", "recipe")


SUMMARY = "ser_lightning.runs.summary:show"
RUN = "RUN [key=value ...]"

VERBS = {
    "demo": Verb(
        "ser_lightning.runs.demo:demo",
        "train and evaluate on a synthetic corpus, from nothing",
        words=("experiment=demo_fused",),
        trains=True,
        shown="ser_lightning.runs.demo:show",
    ),
    "config": Verb(
        "ser_lightning.config.show:show",
        "print the composed configuration and where each value comes from",
        takes="preview",
    ),
    "corpus": Verb("ser_lightning.runs.corpus:inspect_corpus", "files, speakers, hours, classes and problems"),
    "corpus fetch": Verb(
        "ser_lightning.corpora.fetch:fetch_corpus", "download a freely licensed corpus to corpus.root"
    ),
    "features": Verb("ser_lightning.features.verbs:fill_features", "fill the feature store ahead of training"),
    "features verify": Verb(
        "ser_lightning.features.verbs:verify_features",
        "check every file of the feature store and remove what is broken",
    ),
    "features gc": Verb(
        "ser_lightning.features.verbs:collect_features",
        "list features that the configuration does not need, or remove them",
        flags={"remove": "remove them; without it nothing is removed"},
    ),
    "train": Verb(
        "ser_lightning.runs.train:train", "train one model and score its validation part", shown=SUMMARY, trains=True
    ),
    "evaluate": Verb(
        "ser_lightning.runs.evaluate:evaluate",
        "score the test part of a finished run",
        takes="run",
        shown=SUMMARY,
        usage=RUN,
        tracks=True,
    ),
    "crossval": Verb(
        "ser_lightning.crossval.crossval:crossval",
        "train and test every fold of a split, and pool the results",
        settings="ser_lightning.crossval.settings:Settings",
        shown="ser_lightning.crossval.summary:show",
        tracks=True,
    ),
    "compare": Verb(
        "ser_lightning.reports.compare:compare",
        "differences between systems tested on the same utterances, with intervals and tests",
        takes="words",
        settings="ser_lightning.reports.settings:Compare",
        usage="A B [C ...] [key=value ...]",
        shown="ser_lightning.reports.compare_show:show",
    ),
    "fuse": Verb(
        "ser_lightning.reports.fuse:fuse",
        "late fusion of logits, the weights chosen on validation",
        takes="words",
        settings="ser_lightning.reports.settings:Fuse",
        usage="A B [C ...] [key=value ...]",
        shown="ser_lightning.reports.fuse_show:show",
    ),
    "report": Verb(
        "ser_lightning.reports.report:report",
        "one HTML file on runs, cross-validations, fusions and studies, side by side",
        takes="words",
        settings="ser_lightning.reports.settings:Report",
        usage="A [B ...] [key=value ...]",
    ),
    "reproduce": Verb(
        "ser_lightning.reproduce.reproduce:reproduce",
        "`ser reproduce paper`: all rows of a published table, under its protocol and an honest one",
        takes="recipe",
        settings="ser_lightning.reproduce.settings:Settings",
        usage="NAME [--conf DIR] [group=choice ...] [key=value ...]",
        tracks=True,
    ),
    "sweep": Verb(
        "ser_lightning.sweeps.sweep:sweep",
        "search hyper-parameters: make or resume the study of a sweep file, and work on it",
        takes="recipe",
        settings="ser_lightning.sweeps.verbs:Begin",
        usage="FILE [--conf DIR] [study.trials|name|storage=...] [group=choice ...] [key=value ...]",
        tracks=True,
    ),
    "worker": Verb(
        "ser_lightning.sweeps.sweep:worker",
        "join a study, from any process on any node",
        takes="words",
        settings="ser_lightning.sweeps.verbs:Join",
        usage="STUDY [key=value ...]",
        tracks=True,
    ),
    "study": Verb(
        "ser_lightning.sweeps.study_show:show_study",
        "leader board, importances, failures and Pareto front of a study",
        takes="words",
        settings="ser_lightning.sweeps.verbs:Show",
        usage="STUDY [key=value ...]",
    ),
    "finalize": Verb(
        "ser_lightning.sweeps.finalize:finalize",
        "re-train a study's winner with several seeds and score its test part, once",
        takes="words",
        settings="ser_lightning.sweeps.verbs:Finalize",
        usage="STUDY [key=value ...]",
        shown="ser_lightning.sweeps.finalize_show:show",
        tracks=True,
    ),
    "submit": Verb(
        "ser_lightning.cluster.submit:submit",
        "train, cross-validate or sweep in batch jobs of SLURM",
        takes="recipe",
        flags={"dry_run": "show the scripts; nothing is submitted"},
        settings="ser_lightning.cluster.settings:Slurm",
        prefix="slurm.",
        usage="train|crossval|sweep [FILE] [slurm=NAME] [slurm.KEY=VALUE ...] [--conf DIR] [group=choice ...] "
        "[key=value ...]",
    ),
    "doctor": Verb(
        "ser_lightning.cluster.doctor:doctor",
        "`ser doctor train|crossval|sweep ...`: everything a job would stumble over, before it is queued",
        takes="recipe",
        usage="train|crossval|sweep [FILE] [--conf DIR] [slurm=NAME] [slurm.KEY=...] [group=choice ...] [key=...]",
    ),
    "logs": Verb(
        "ser_lightning.runs.read_log:logs",
        "what all processes of a run said, in order, and why it ended",
        takes="words",
        settings="ser_lightning.runs.settings:Logs",
        usage=RUN,
    ),
    "sync": Verb(
        "ser_lightning.tracking.sync:sync",
        "upload to W&B what was logged offline, in order and once",
        takes="words",
        settings="ser_lightning.tracking.sync:Sync",
        usage="[RUN|STUDY|CROSSVAL|FOLDER ...] [key=value ...]",
    ),
    "wandb view": Verb(
        "ser_lightning.reports.wandb_view.view:view",
        "save a workspace and a report in W&B: UAR by model, curves by group, sweeps, confusion matrices",
        takes="words",
        settings="ser_lightning.reports.settings:View",
        usage="[STUDY|CROSSVAL|RUN|GROUP ...] [key=value ...]",
    ),
    "runs list": Verb(
        "ser_lightning.runs.manage:list_runs", "the runs under runs_dir=...", takes="words", usage="[runs_dir=...]"
    ),
    "runs show": Verb(
        "ser_lightning.runs.manage:show_run", "scores of a run, or how far it is", takes="run", usage=RUN
    ),
    "runs remove": Verb("ser_lightning.runs.manage:remove_run", "remove a run's folder", takes="run", usage=RUN),
}
"""A verb of two words is looked up before one of one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns the process's exit code: 2 for a command line that can't be understood."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    any_text()
    try:
        with stopping():
            code = _main(words)
            written()
            return code
    except UserError as error:
        say(f"ser: {error}", style="red")
        if isinstance(error, StoppedError):
            load("ser_lightning.processes.scheduler:after_stop")(error)
        return error.exit_code
    except KeyboardInterrupt:
        say("ser: interrupted", style="red")
        return 128 + signal.SIGINT
    except BrokenPipeError:  # as of `ser runs list | head -1`: who asked has read enough
        return 128 + signal.SIGPIPE
    except (OSError, UnicodeError) as error:
        say(f"ser: {in_words(error)}", style="red")
        return 1
    finally:
        with suppress(OSError):
            written()


def run() -> NoReturn:
    """The program `ser`; what a scheduler says when its verb has ended is too late to change how it did."""
    code = main()
    for number in SCHEDULERS:  # ending takes a second where torch is loaded
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


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
    options, rest = _parser(name, VERBS[name].flags).parse_known_args(words[count:])
    return _run(name, VERBS[name], options, rest)


def _overview() -> int:
    print("usage: ser VERB [group=choice ...] [key=value ...]\n")
    for name, verb in VERBS.items():
        print(f"  {name:<17}{verb.help}")
    print("\n`ser VERB --help` lists groups and choices; `ser config ...` shows what a command would run with.")
    return 0


def _parser(name: str, flags: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"ser {name}", add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--conf", metavar="DIR")
    for flag in flags:
        parser.add_argument(_dashed(flag), action="store_true")
    return parser


def _dashed(flag: str) -> str:
    return f"--{flag.replace('_', '-')}"


def _run(name: str, verb: Verb, options: argparse.Namespace, words: list[str]) -> int:
    if options.help:
        print(
            f"usage: ser {name} {verb.usage}\n\n{verb.help}\n\n"
            + "  --conf DIR  a folder searched before the packaged conf/ (default: conf/ where you stand)\n"
            * verb.composes
            + "".join(f"  {_dashed(flag):<12}{text}\n" for flag, text in verb.flags.items())
            + "".join(f"  {verb.prefix + key + '=...':<23} {text}\n" for key, text in _settings_docs(verb).items())
        )
        if verb.composes:
            print_choices(options.conf)
        return 0
    if options.conf is not None and not verb.composes:
        raise ConfigError(f"ser {name}: --conf {options.conf}: nothing is composed here; leave it out")
    if options.conf is not None:
        options.conf = expanded("--conf", options.conf)
    load("ser_lightning.processes.scheduler:own_process")()
    ignored = load("ser_lightning.tracking.environment:without_decided")()
    flags = {flag: getattr(options, flag) for flag in verb.flags}
    mode = None  # where the configuration is read later
    if verb.takes == "run":
        found = _loaded("ser_lightning.runs.folder:open_run")(*_run_and_overrides(name, words))
        given, mode = list(found), found[1].tracking.mode
    elif verb.takes in ("words", "recipe"):
        if verb.takes == "words" and verb.settings:
            names_and(load(verb.settings), words)  # an error in them is said before what does the work is loaded
        given = [words, *([options.conf] if verb.takes == "recipe" else [])]
    else:
        preview = verb.takes == "preview"
        settings, words = taken(load(verb.settings), words) if verb.settings else (None, words)
        composed = compose([*verb.words, *words], options.conf, complete=not preview)
        mode = composed.config.tracking.mode
        if verb.trains and mode != "off":
            # wandb.init imports it. For its docstrings pydantic then looks through all loaded modules, so that it takes
            # a third of the time while torch is not among them.
            _loaded("wandb.apis.public:Api")
        if verb.trains:
            with only_modules_made():
                torchmetrics_alone()
        given = [composed if preview else composed.config, *([settings] if settings else [])]
    if (verb.trains or verb.tracks) and mode != "off":
        load("ser_lightning.tracking.environment:tell")(ignored)
    result = _loaded(verb.target)(*given, **flags)
    if verb.shown:
        load(verb.shown)(result)
    return 0


def _loaded(path: str) -> Any:
    with only_modules_made():
        return load(path)


def _settings_docs(verb: Verb) -> Mapping[str, str]:
    return docs(load(verb.settings)) if verb.settings else {}


def _run_and_overrides(name: str, words: list[str]) -> tuple[str, list[str]]:
    if not words or "=" in words[0]:
        raise ConfigError(f"ser {name}: name a run (a folder, or its name under runs_dir) before the overrides")
    return words[0], words[1:]
