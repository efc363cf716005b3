"""YAML: what is written reads back equal, whatever the strings; what is read wrongly is refused in one line."""

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from ser_lightning.config.compose import bind, compose
from ser_lightning.config.sources import read
from ser_lightning.config.yaml_text import dump, literal, parse
from ser_lightning.errors import ConfigError

NAMES = (
    *(
        "yes",
        "no",
        "on",
        "off",
        "y",
        "true",
        "null",
        "~",
        "Null",
        "010",
        "08",
        "0o7",
        "0x1F",
        "0b1",
        "1_0",
        "1e3",
        "1e1",
    ),
    *("08e4", "695e0514", "1E+3", ".5", ".5e3", ".", ".inf", ".nan", "inf", "nan", "12:30", "1:30.5", "190:20:30"),
    *(
        "2024-01-01",
        "=",
        "<<",
        "-",
        "?",
        ":",
        "#",
        "#x",
        "&a",
        "*a",
        "!t",
        "%d",
        "@x",
        "`",
        "'",
        '"',
        "[x]",
        "{x}",
        "|",
    ),
    *(
        ">",
        "???",
        "${x}",
        r"\${x}",
        "\\",
        "---",
        "...",
        "_1",
        "0_",
        "0x_",
        "+1",
        "-0",
        "1.",
        "1.0",
        "\u00e9",
        "e\u0301",
    ),
    *("\U0001f600", "\ufeff", "\u200b", "\udcff", "\x85", "\u2028", "\x00", "\x1b", "[laughter]", "a:b", "a:"),
)
TEXTS = [*NAMES, "", " a", "a ", "a  b", "a: b", "a #b", "\t", "a\nb", "\na\n", "a\r\nb", "x" * 400, "w " * 300]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_reads_back_as_it_was_written(text: str) -> None:
    tree = {"value": text, "list": [text, [text]], "mapping": {text: text}}
    assert parse(dump(tree)) == tree


def test_drawn_texts_and_numbers_read_back() -> None:
    draw = random.Random(0)
    letters = "0123456789eE+-._:xob ~ynatf\n\t'\"#[]{}&*!|>%@`\\\x85\u2028\udcff$,=<?é"
    for _ in range(500):
        text = "".join(draw.choices(letters, k=draw.randint(0, 9)))
        assert parse(dump([text, {text: 1}])) == [text, {text: 1}]
    numbers: list[Any] = [1e-5, float("inf"), 1e16, 10**20, 0.1, -3, None, True, [], {}]
    assert parse(dump(numbers)) == numbers
    assert parse(dump({"a": (1, 2)})) == {"a": [1, 2]}


@pytest.mark.parametrize("text", [*NAMES, "a${b}", "${a.b}", r"\${x} \\${y}", "${", "${}", r"x\\\${"])
def test_a_resolved_text_is_no_interpolation(text: str) -> None:
    if text != "???":
        assert OmegaConf.to_container(OmegaConf.create({"v": literal(text)}), resolve=True) == {"v": text}


def test_a_configuration_is_bound_again_as_it_was(tmp_path: Path) -> None:
    names = [name for name in NAMES if name.isprintable() and "${" not in name and name != "???"]
    quoted = ",".join("'" + name.replace("'", "''") + "'" for name in names)
    words = ["corpus=table", f"corpus.root={tmp_path}", "corpus.classes=[a,b]", f"tracking.tags=[{quoted}]"]
    config = compose([*words, r"tracking.name=\${x}", "runs_dir=010"]).config
    assert (config.tracking.tags, config.tracking.name) == (names, "${x}")
    (tmp_path / "config.yaml").write_text(dump(asdict(config)))
    assert bind(read(tmp_path / "config.yaml"), "config.yaml") == config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key `a` stands there twice, first in line 1"),
        ("a: {b: 1, b: 2}", "line 1: the key `b` stands there twice"),
        ("- a\n- b", "holds a list"),
        ("text", "holds `text`"),
        ("a:\n\tb: 1", "line 2: a tab at the beginning of the line; indent with spaces"),
        ("a: 1\n b: 2", "line 2: mapping values are not allowed"),
        ("a: b: c", "line 1: .*put a value with `: ` in it in quotes"),
        ("a:\n  - b\n c: 1", "line 3: did not find expected"),
        ("a: [1\nb: 2", "line 2: .*close what is open"),
        ("a: 'x", "line 1: .*not closed"),
        ("a: *x", "line 1: found undefined alias.*in quotes"),
        ("a: !x y", "line 1: .*`!` begins a tag; put the value in quotes"),
        ("a: @x", "line 1: .*put the value in quotes"),
        ("a: &x [*x]", "line 1: a reference stands inside"),
        ("a: 1\n---\nb: 2", "line 2: .*one document"),
        ("yes: 1", "line 1: the key `yes` is no text to YAML; put it in quotes"),
        ("a:\n  010: x", "line 2: the key `010` is no text"),
        ("{a: 1}: 2", "line 1: the key in brackets"),
        ("a: 010", "line 1: a: `010` is another number .*in quotes"),
        ("a: {b: [1, 12:30]}", "line 1: a.b: `12:30` is another number .*in quotes"),
        ("b: 1\na: x\x01", "line 2: control characters"),
    ],
)
def test_what_is_no_such_file_is_one_line_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"own.yaml[:,] {says}") as caught:
        read(tmp_path / "own.yaml")
    assert "\n" not in str(caught.value)


def test_encodings_and_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes("a: 1\nb: ü\n".encode("utf-8-sig"))
    assert read(path) == {"a": 1, "b": "ü"}
    for content, says in (("a: 1\nb: ü\n".encode("latin-1"), "line 2: is not UTF-8"), ("a".encode("utf-16"), "line 1")):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=says):
            read(path)
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory"):
        read(tmp_path)


def test_references_and_merges_are_read() -> None:
    assert parse("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}") == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}
    with pytest.raises(yaml.YAMLError):
        parse("a: {<<: 1}")
