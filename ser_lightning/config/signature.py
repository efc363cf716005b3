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
def parameters(path: str, alone: bool = True) -> tuple[Parameter, ...]:
    """The configurable parameters of `module:Class`, in the order of its source.

    Args:
        alone: False where the caller reads its base classes as well.

    Raises:
        ValueError, ModuleNotFoundError, SyntaxError, AttributeError: no such path, module, source or class.
        TypeError: an annotation or default is outside what a configuration can hold, or the constructor has
            parameters that would not be seen: positional ones, or those of a base class in the same file.
    """
    module, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise ValueError(f"`{path}` is not of the form module:Class")
    file = source_file(module)
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    found = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)
    if found is None:
        raise AttributeError(f"{file} defines no class {name}; name the module that defines it")
    init = constructor(found)
    if init is not None:
        refuse_positional(path, init)
    elif alone:
        refuse_inherited(path, found, tree)
    rows = _keywords(init, ast.get_docstring(found) or "") if init else _fields(found)
    return tuple(_parameter(path, *row) for row in rows)


def source_file(module: str) -> Path:
    """The file of a module, found without importing the packages above it, which may import torch.

    Raises:
        ModuleNotFoundError: there is none.
    """
    top, *below = module.split(".")
    spec = importlib.util.find_spec(top)
    places = [Path(place, *below) for place in (spec.submodule_search_locations or [])] if spec else []
    files = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    if spec and spec.origin and not below:
        files = [Path(spec.origin)]
    if found := next((file for file in files if file.is_file()), None):
        return found
    raise ModuleNotFoundError(f"no module {module}")


ParameterRow = tuple[str, ast.expr | None, ast.expr | None, str]


def _keywords(init: ast.FunctionDef, doc: str) -> list[ParameterRow]:
    docs = dict(re.findall(r"^\s+(\w+): (.+(?:\n\s{8,}.+)*)", doc, flags=re.MULTILINE))
    rows = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return [(a.arg, a.annotation, default, " ".join(docs.get(a.arg, "").split())) for a, default in rows]


def _fields(node: ast.ClassDef) -> list[ParameterRow]:
    rows: list[ParameterRow] = []
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
    if annotation is None:
        raise TypeError(f"{path}: parameter `{name}` has no annotation; give it one, such as `{name}: int`")
    try:
        kind = eval(compile(ast.Expression(annotation), path, "eval"), {"__builtins__": {}}, NAMES)
        return Parameter(name, kind, MISSING if default is None else _literal(default), doc)
    except (NameError, ValueError, TypeError) as error:
        raise TypeError(f"{path}: parameter `{name}` cannot come from a configuration: {error}") from error


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "field":
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        factory = given.get("default_factory")
        if isinstance(factory, ast.Lambda):
            return ast.literal_eval(factory.body)
        if isinstance(factory, ast.Name) and factory.id in ("list", "dict"):
            return {"list": [], "dict": {}}[factory.id]
        raise ValueError(f"its default `{ast.unparse(node)}` is no literal, list or dict")
    return ast.literal_eval(node)


@cache
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
