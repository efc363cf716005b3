"""The test vault counts configurations, whatever the split is called."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

from ser_lightning.config.compose import compose
from ser_lightning.files import read_csv
from ser_lightning.runs.vault import FILE, Look, configuration_of, configurations, looks, looks_at, record

CONFIG = compose(["corpus=demo", "split=loso"]).config


def look(run: str, configuration: str, speakers: str, corpus: str = "demo") -> Look:
    return replace(Look.now(run, configuration, "chosen on validation", CONFIG, [], speakers.split()), corpus=corpus)


def test_repeats_are_one_configuration_and_other_settings_another() -> None:
    same = [compose(["corpus=demo", "split=loso", *words]).config for words in (["seed=7"], ["split.fold=3"])]
    assert {configuration_of(config) for config in same} == {configuration_of(CONFIG)}
    other = compose(["corpus=demo", "split=loso", "model.hidden_dim=32"]).config
    assert configuration_of(other) != configuration_of(CONFIG)


def test_looks_at_any_of_the_speakers_count(tmp_path: Path) -> None:
    for one in (look("r1", "a", "s1"), look("r2", "a", "s2"), look("r3", "b", "s1 s9"), look("r4", "c", "s1", "other")):
        record(tmp_path, one)
    found = looks(tmp_path)
    assert [one.run for one in found] == ["r1", "r2", "r3", "r4"]
    assert [one.run for one in looks_at(found, "demo", ["s1"])] == ["r1", "r3"]
    assert configurations(looks_at(found, "demo", ["s1", "s2"])) == 2
    assert looks(tmp_path / "nothing") == []


def _record_many(folder: str, name: str) -> None:
    for _ in range(50):
        record(Path(folder), look(name, name, "s1"))


def test_many_writers_lose_no_look_and_write_one_header(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_record_many, args=(str(tmp_path), f"w{i}")) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    rows = read_csv(tmp_path / FILE)
    assert len(rows) == 200
    assert {row["run"] for row in rows} == {"w0", "w1", "w2", "w3"}
