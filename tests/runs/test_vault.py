"""The test vault counts configurations, whatever the split is called, and survives writers that die."""

import multiprocessing
from pathlib import Path

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.errors import UserError
from ser_lightning.files import read_csv, write_csv
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.vault import (
    COLUMNS,
    FILE,
    configuration_of,
    configurations,
    looks,
    looks_at,
    record,
    recordings_of,
)

CONFIG = compose(["corpus=demo", "split=loso"]).config


def run(folder: Path, name: str, **speakers: list[str]) -> RunFolder:
    """A run that tests the recordings given by speaker."""
    made = RunFolder(folder / name)
    made.begin(CONFIG)
    rows = [(f"{d}", speaker, "", "a", d, "test") for speaker, found in speakers.items() for d in found]
    columns = ("id", "speaker", "session", "label", "digest", "part")
    write_csv(made.split, columns, [*rows, ("t", "other", "", "a", "trained", "train")])
    return made


def look(made: RunFolder, configuration: str = "a") -> None:
    record(made, made.read_config(), made.path.parent, made.id, configuration, "chosen on validation", [])


def test_repeats_are_one_configuration_and_other_settings_another() -> None:
    same = [compose(["corpus=demo", "split=loso", *words]).config for words in (["seed=7"], ["split.fold=3"])]
    assert {configuration_of(config) for config in same} == {configuration_of(CONFIG)}
    other = compose(["corpus=demo", "split=loso", "model.hidden_dim=32"]).config
    assert configuration_of(other) != configuration_of(CONFIG)


def test_looks_at_any_of_the_recordings_count(tmp_path: Path) -> None:
    first, second = run(tmp_path, "r1", s1=["x", "y"]), run(tmp_path, "r2", s1=["y", "z"])
    third, fourth = run(tmp_path, "r3", s2=["w"]), run(tmp_path, "r4", s1=["q"])  # another corpus's s1
    for made, configuration in ((first, "a"), (second, "b"), (third, "b"), (fourth, "c")):
        look(made, configuration)
    found = looks(tmp_path)
    assert [one.run for one in found] == ["r1", "r2", "r3", "r4"]
    assert [one.run for one in looks_at(tmp_path, recordings_of(first))] == ["r1", "r2"]
    assert [one.run for one in looks_at(tmp_path, {"z", "w"})] == ["r2", "r3"]
    assert configurations(looks_at(tmp_path, {"x", "w"})) == 2
    assert looks_at(tmp_path, {"trained"}) == looks(tmp_path / "nothing") == []


def test_names_of_any_kind_are_kept(tmp_path: Path) -> None:
    look(run(tmp_path, "r1", **{"speaker 1": ["x"], 'the "2nd", too\n': ["y"]}))
    assert looks(tmp_path)[0].speakers == ["speaker 1", 'the "2nd", too\n']


def test_a_part_whose_list_is_gone_counts(tmp_path: Path) -> None:
    look(run(tmp_path, "r1", s1=["x"]))
    for path in (tmp_path / "test_parts").iterdir():
        path.unlink()
    assert len(looks_at(tmp_path, {"anything"})) == 1


def test_a_line_cut_short_is_no_look_and_spoils_none(tmp_path: Path) -> None:
    """A disk that was full: the next writer begins on a line of its own."""
    made = run(tmp_path, "r1", s1=["x"])
    look(made)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole.splitlines()[1][:30])
    assert len(looks(tmp_path)) == 1
    look(made, "b")
    assert [one.configuration for one in looks(tmp_path)] == ["a", "b"]


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    made = run(tmp_path, "r1", s1=["x"])
    write_csv(tmp_path / FILE, ("time", "run"), [("now", "r0")])
    for call in (lambda: look(made), lambda: looks(tmp_path)):
        with pytest.raises(UserError, match="columns are not those of this version"):
            call()
    assert [row["run"] for row in read_csv(tmp_path / FILE)] == ["r0"]


def _look_often(folder: str, name: str) -> None:
    made = RunFolder(Path(folder) / name)
    for _ in range(20):
        look(made, name)


def test_many_writers_lose_no_look_and_write_one_header(tmp_path: Path) -> None:
    """All begin on an empty vault at once."""
    names = [f"w{i}" for i in range(4)]
    for name in names:
        run(tmp_path, name, s1=[name])
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_look_often, args=(str(tmp_path), name)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = (tmp_path / FILE).read_text().splitlines()
    assert lines.count(",".join(COLUMNS)) == 1
    assert sorted(one.run for one in looks(tmp_path)) == sorted(names * 20)
