"""The constructor is the schema: a component's parameters, read from its source without importing it.

A model's module imports torch, and a typo on the command line must be told before that. So annotations, defaults
and docs are taken from the syntax tree: fields of a dataclass, or the keyword-only arguments of `__init__`.
"""

import ast
import importlib.util
import re
from dataclasses import MISSING, dataclass, field, make_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ser_lightning.config.unseen import constructor, refuse_inherited, refuse_positional

NAMES = {
    "Literal": Literal,
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "None": None,
}


@dataclass(frozen=True)
class Parameter:
    """One configurable value: its type, its default (MISSING if the user must give it) and what it means."""

    name: str
    type: Any
    default: Any
    doc: str


@cache
def parameters(path: str) -> tuple[Parameter, ...]:
    """The configurable parameters of `module:Class`, in the order of its source.

    Raises:
        TypeError: an annotation or default is outside what a configuration can hold, or the constructor has
            parameters that would not be seen: positional ones, or those of a base class in the same file.
    """
    module, _, name = path.partition(":")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{path}: no module {module}")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    found = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)
    if found is None:
        raise AttributeError(f"{spec.origin} has no class {name}")
    init = constructor(found)
    if init is None:
        refuse_inherited(path, found, tree)
    else:
        refuse_positional(path, init)
    rows = _keywords(init, ast.get_docstring(found) or "") if init else _fields(found)
    return tuple(_parameter(path, *row) for row in rows)


Row = tuple[str, ast.expr | None, ast.expr | None, str]


def _keywords(init: ast.FunctionDef, doc: str) -> list[Row]:
    docs = dict(re.findall(r"^\s+(\w+): (.+(?:\n\s{8,}.+)*)", doc, flags=re.MULTILINE))
    rows = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return [(a.arg, a.annotation, default, " ".join(docs.get(a.arg, "").split())) for a, default in rows]


def _fields(node: ast.ClassDef) -> list[Row]:
    rows: list[Row] = []
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if "ClassVar" in ast.unparse(statement.annotation):
                continue
            text = following.value.value if _is_docstring(following) else ""  # type: ignore[union-attr]
            rows.append((statement.target.id, statement.annotation, statement.value, " ".join(text.split())))
    return rows


def _is_docstring(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _parameter(path: str, name: str, annotation: ast.expr | None, default: ast.expr | None, doc: str) -> Parameter:
    try:
        kind = eval(compile(ast.Expression(annotation), path, "eval"), {"__builtins__": {}}, NAMES)  # type: ignore[arg-type]
        return Parameter(name, kind, MISSING if default is None else _literal(default), doc)
    except (NameError, ValueError, TypeError) as error:
        raise TypeError(f"{path}: parameter `{name}` cannot come from a configuration: {error}") from error


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "field":
        factory = next(k.value for k in node.keywords if k.arg == "default_factory")
        if isinstance(factory, ast.Lambda):
            return ast.literal_eval(factory.body)
        return {"list": [], "dict": {}}[ast.unparse(factory)]
    return ast.literal_eval(node)


def schema(path: str, common: tuple[Parameter, ...]) -> type:
    """A dataclass with the `common` parameters and those of `module:Class`, for strict merging."""
    rows = [(p.name, p.type, _field(p.default)) for p in (*common, *parameters(path))]
    return make_dataclass(path.partition(":")[2], rows, kw_only=True)


def _field(default: Any) -> Any:
    if default is MISSING:
        return field(default="???")
    if isinstance(default, list | dict):
        return field(default_factory=lambda: default)
    return field(default=default)
