"""Parameters of a component that reading its one class would miss: refused, where they would be ignored in silence."""

import ast
from collections.abc import Iterator

LEADING = ("self", "streams", "num_classes")
"""Positional parameters that the framework itself passes."""


def constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    """The `__init__` that the class itself defines."""
    return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)


def refuse_positional(path: str, init: ast.FunctionDef) -> None:
    """Raises TypeError: a positional parameter is not one that the framework passes."""
    if unknown := _positional(init):
        raise TypeError(
            f"{path}: parameter `{unknown[0]}` of __init__ is positional, where no configuration reaches it; "
            "put it after a `*`"
        )


def refuse_inherited(path: str, node: ast.ClassDef, tree: ast.Module) -> None:
    """Raises TypeError: a class without `__init__` inherits parameters from a base of its own file."""
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    for base in _bases(node, classes):
        if names := _own_parameters(base):
            raise TypeError(
                f"{path}: inherits the parameter `{names[0]}` from {base.name}, where it is not seen; "
                f"repeat it in {node.name}"
            )


def _bases(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    """Bases that the same file defines, and theirs; what is imported, such as nn.Module, is left out."""
    for expression in node.bases:
        base = classes.get(ast.unparse(expression).partition("[")[0])
        if base is not None and base is not node:
            yield base
            yield from _bases(base, classes)


def _own_parameters(node: ast.ClassDef) -> list[str]:
    init = constructor(node)
    if init is not None:
        return [*_positional(init), *(a.arg for a in init.args.kwonlyargs)]
    if not any(ast.unparse(d).rpartition("dataclasses.")[2].startswith("dataclass") for d in node.decorator_list):
        return []  # annotations of a Protocol or a module, no parameters
    annotated = [n for n in node.body if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation)]
    return [ast.unparse(n.target) for n in annotated]


def _positional(init: ast.FunctionDef) -> list[str]:
    return [a.arg for a in (*init.args.posonlyargs, *init.args.args) if a.arg not in LEADING]
