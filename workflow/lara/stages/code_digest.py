"""Digest of the code of a stage: the import closure of its module, as syntax without docstrings and comments.

For example that of `lara.stages.observations.simulate` changes with an edit of `lara.grid`, which it imports, and
neither with one of `lara.autoencoder`, which it does not, nor with a comment. Imports within functions count, those for
type checkers alone do not. Left out are the modules whose values a stage is told in other ways: the configuration and
what is said to depend on it stand in the parameters of rules and in identities, paths in their inputs and outputs.
Where networks run is no part of what they are.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import lara

PACKAGE = Path(lara.__file__).parent
LEFT_OUT = ("lara.config", "lara.depends", "lara.device", "lara.layout", "lara.locks", "lara.receipts")
_DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_UNSAID = ("ctx", "kind", "type_comment")  # fields that say nothing about what code does


def code_digest(*modules: str) -> str:
    """Digest of the sources in the import closure of modules such as "lara.stages.models.train"."""
    listed = "".join(f"{name} {_digest(_file(name))}\n" for name in sorted(closure(*modules)))
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def closure(*modules: str) -> set[str]:
    """Names of these modules and of all that they import of the package; ValueError for one that is not there."""
    found: set[str] = set()
    waiting = [part for name in modules for part in _with_packages(name)]
    while waiting:
        name = waiting.pop()
        if name in found or _left_out(name):
            continue
        if not _is_module(name):
            raise ValueError(f"module {name} is not in {PACKAGE}: correct the command that names it")
        found.add(name)
        waiting += _imports(_file(name))
    return found


def _left_out(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in LEFT_OUT)


def _is_module(name: str) -> bool:
    return _file(name).exists()


def _file(name: str) -> Path:
    """Source of a module, or of the `__init__` of a package."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _imports(path: Path) -> list[str]:
    """Modules of the package that a source imports."""
    named = [name for name in _named(_tree(path)) if name.split(".")[0] == lara.__name__]
    return sorted({part for name in named for part in _with_packages(name) if _is_module(part)})


def _with_packages(name: str) -> list[str]:
    """A module and the packages it lies in, whose `__init__` runs before it."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _named(node: ast.AST) -> Iterator[str]:
    """Dotted names that a tree imports; the last part may be a name within a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for other in node.orelse:
            yield from _named(other)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _named(child)


@cache
def _digest(path: Path) -> str:
    """Digest of the syntax of a source."""
    parts: list[str] = []
    _say(_tree(path), parts)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def _tree(path: Path) -> ast.Module:
    """Syntax of a source without docstrings."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, _DEFINITIONS) and node.body and _is_text(node.body[0]):
            del node.body[0]
    return tree


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _say(value: object, parts: list[str]) -> None:
    """Put a syntax tree in words: fields that are empty are left out, since Python's versions differ in them."""
    if isinstance(value, ast.AST):
        parts.append(type(value).__name__)
        for name in value._fields:
            field = getattr(value, name, None)
            if field not in (None, []) and name not in _UNSAID:
                parts.append(name)
                _say(field, parts)
        parts.append(")")
    elif isinstance(value, list):
        for one in value:
            _say(one, parts)
    else:
        parts.append(repr(value))
