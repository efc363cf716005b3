"""YAML as text: read with the place of each mistake, and written so that every string reads back as it was."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, MarkedYAMLError, Node, ScalarNode, SequenceNode

from ser_lightning.errors import ConfigError

TAG = "tag:yaml.org,2002:"
STR, FLOAT, MERGE = f"{TAG}str", f"{TAG}float", f"{TAG}merge"
NUMBER = re.compile(r"(?:[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)\Z")
"""What floats look like beside YAML 1.1's: 1e3 is one to everybody who writes it."""
ODD = re.compile(r"[-+]?(?:0[0-9_]+\Z|[0-9_]+:)")
"""Numbers that nobody writes as such: in base 8 and in base 60."""
QUOTES = "put the value in quotes"
REMEDIES = {
    "cannot start any token": QUOTES,
    "mapping values are not allowed": "indent it like its neighbours, or put a value with `: ` in it in quotes",
    "undefined alias": f"`*` begins a reference; {QUOTES}",
    "constructor for the tag": f"`!` begins a tag; {QUOTES}",
    "unexpected end of stream": "a quote or a bracket is not closed",
    "did not find expected": "mend the indentation, or close what is open",
    "but found another document": "one file holds one document: take out the lines `---` and `...`",
}
"""What to do, by a part of what the reader says."""


class _Resolving:
    """What both readers, and the writer, take an unquoted scalar for."""

    @classmethod
    def prepare(cls) -> None:
        resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = cls.yaml_implicit_resolvers  # type: ignore[attr-defined]
        without = (f"{TAG}timestamp", f"{TAG}value")  # dates and `=` are text
        cls.yaml_implicit_resolvers = {  # type: ignore[attr-defined]
            first: [(FLOAT, NUMBER)] * (first in "-+.0123456789") + [one for one in found if one[0] not in without]
            for first, found in resolvers.items()
        }


class _Loader(_Resolving, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """In C where PyYAML was built with it."""


class _PlainLoader(_Resolving, yaml.SafeLoader):
    """Reads what is no character of Unicode, too: bytes of a file name that isn't UTF-8."""


class _Dumper(_Resolving, yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind in (_Loader, _PlainLoader, _Dumper):
    _kind.prepare()
_Dumper.add_representer(tuple, yaml.SafeDumper.represent_list)
# Only between double quotes does no line break turn into another one.
_Dumper.add_representer(str, lambda dumper, s: dumper.represent_scalar(STR, s, None if s.isprintable() else '"'))


def parse(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        yaml.YAMLError: it is none; a key is no text, or stands in one mapping twice.
    """
    loader = (_PlainLoader if re.search(r"\\u[dD][89a-fA-F]", text) else _Loader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, "", (), set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check(node: Node, name: str, above: tuple[int, ...], done: set[int]) -> None:
    if id(node) in above:
        raise MarkedYAMLError(problem="a reference stands inside of what it refers to", problem_mark=node.start_mark)
    if id(node) in done:
        return
    done.add(id(node))
    if isinstance(node, MappingNode):
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag not in (STR, MERGE):
                raise MarkedYAMLError(
                    problem=f"the key {_written(key)} is no text to YAML; put it in quotes", problem_mark=key.start_mark
                )
            if key.value in seen and key.tag != MERGE:
                problem = f"the key `{key.value}` stands there twice, first in line {seen[key.value]}; keep one"
                raise MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen[key.value] = key.start_mark.line + 1
    if isinstance(node, ScalarNode) and node.tag in (f"{TAG}int", FLOAT) and ODD.match(node.value):
        problem = (
            f"{name}: `{node.value}` is another number to YAML (010 is 8, 1:30 is 90): put it in quotes if it is text"
        )
        raise MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    for key, child in _children(node, name):
        _check(child, key, (*above, id(node)), done)


def _children(node: Node, name: str) -> Iterator[tuple[str, Node]]:
    """Nodes inside, each with the key under which it stands."""
    if isinstance(node, SequenceNode):
        yield from ((name, one) for one in node.value)
    elif isinstance(node, MappingNode):
        yield from ((f"{name}.{key.value}".lstrip("."), value) for key, value in node.value)


def _written(key: Node) -> str:
    return f"`{key.value}`" if isinstance(key, ScalarNode) else "in brackets"


def load(path: Path) -> Any:
    """The value of a YAML file.

    Raises:
        ConfigError: it cannot be read, or is no YAML; one line with the file, the line and the remedy.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
        return parse(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: is not UTF-8 ({error.reason}); save the file as UTF-8") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}{_place(error, text)}: {_reason(error, text)}") from error


def _place(error: Exception, text: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return f", line {mark.line + 1}"
    control = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)
    return f", line {text.count(chr(10), 0, control.start()) + 1}" if control else ""


def _reason(error: Exception, text: str) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    said = " ".join(str(problem).split())
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    if mark is not None and mark.line < len(lines) and "\t" in re.split(r"[^\s]", lines[mark.line])[0]:
        return "a tab at the beginning of the line; indent with spaces"
    remedy = next((f"; {what}" for part, what in REMEDIES.items() if part in said), "")
    return f"{said}{remedy}"


def shown(value: Any) -> str:
    """A value as YAML has read it: `true`, `10`, `null`."""
    return f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def dump(tree: Mapping[str, Any] | Sequence[Any]) -> str:
    """Plain containers as YAML; what `parse` reads of it is equal to `tree`, but for tuples, which become lists."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)


def literal(tree: Any) -> Any:
    """A tree of resolved values in which no string is an interpolation: `${...}` stands for itself."""
    if isinstance(tree, Mapping):
        return {key: literal(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [literal(value) for value in tree]
    if isinstance(tree, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", tree)
    return tree
