"""The user's own views: a folder of SQL files with headers like ours, built into schema `custom` at each publish.

The published file is replaced as a whole, so what somebody would create in it is gone with the next;
what stands in the folder is built into every one. A file that is wrong is told in a sentence and left
out, or stays without what its header says wrongly; it stops no sync, no publish and no other view.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from graphlib import CycleError
from hashlib import sha256
from pathlib import Path

import duckdb

from stored_completions import models
from stored_completions.models import Model
from stored_completions.warehouse import first_line

SCHEMA = "custom"

_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def fingerprint(folder: Path | None) -> str:
    """Changes with every file of the folder; empty without one."""
    if folder is None or not folder.is_dir():
        return ""
    digest = sha256()
    for path in _paths(folder):
        digest.update(f"{path.name}\0".encode())
        digest.update(_bytes(path) + b"\0")
    return digest.hexdigest()


def missing(folder: Path | None) -> str | None:
    """A sentence, when the setting names no folder."""
    if folder is None or folder.is_dir():
        return None
    return (
        f"The setting views names {folder}, which is no folder: the views of schema custom stay as they were."
    )


def build(connection: duckdb.DuckDBPyConnection, folder: Path | None) -> list[str]:
    """Builds the views anew, each after those it reads; what is wrong with them, a sentence each.

    Without a folder, and where it is `missing`, those of the last publish stay.
    """
    if folder is None or not folder.is_dir():
        return []
    connection.execute(f"drop schema if exists {SCHEMA} cascade")
    connection.execute(f"create schema {SCHEMA}")
    said: list[str] = []
    views, unreadable = _read(folder)
    said += unreadable
    for view in _in_order(views, said):
        said += [f"{folder / view.name}.sql: {problem}" for problem in _built(connection, view)]
    return said


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sql"))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _read(folder: Path) -> tuple[list[Model], list[str]]:
    views, said = [], []
    for path in _paths(folder):
        try:
            if not _NAME.fullmatch(path.stem):
                raise ValueError("a view's name has lower case letters, digits and underscores only")
            views.append(replace(models.parsed(path), layer=SCHEMA))
        except OSError as error:
            said.append(f"{path}: {error.strerror}. The view was left out.")
        except ValueError as error:
            said.append(f"{path}: {error}. The view was left out.")
    return views, said


def _in_order(views: list[Model], said: list[str]) -> list[Model]:
    """The views, each after those it reads; of a circle none."""
    try:
        return models.in_order(views)
    except CycleError as error:
        circle = {str(name) for name in error.args[1]}
        said.append(f"{', '.join(sorted(circle))} read each other in a circle: they were left out.")
        return _in_order([view for view in views if view.relation not in circle], said)


def _built(connection: duckdb.DuckDBPyConnection, view: Model) -> Iterator[str]:
    try:
        _check_is_select(connection, view)
        connection.execute(f"create view {view.relation} as\n{view.sql}")
        columns = models.column_names(connection, f"from {view.relation}")
    except (duckdb.Error, ValueError) as error:
        connection.execute(f"drop view if exists {view.relation}")
        yield f"{first_line(error)} The view was left out."
        return
    yield from (f"{problem}. The view was built." for problem in models.untrue(view, columns))
    known = {name: meaning for name, meaning in view.columns.items() if name in columns}
    models.describe(connection, view, known)


def _check_is_select(connection: duckdb.DuckDBPyConnection, view: Model) -> None:
    statements = connection.extract_statements(view.sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ValueError("A file holds one select and nothing else.")
