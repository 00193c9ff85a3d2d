"""Which destinations there are, by dlt's names, and what each needs installed."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from stored_completions.errors import UsageError

DELTA = "delta"
LOCAL = "duckdb"
"""The default: the local file, and nothing is shipped."""


@dataclass(frozen=True)
class Kind:
    """`modules` must be importable; `extra` of this package brings them."""

    extra: str
    modules: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "postgres": Kind("postgres", ("psycopg2", "adbc_driver_manager", "adbc_driver_postgresql")),
    "filesystem": Kind("delta", ("deltalake", "s3fs")),
}


@dataclass(frozen=True)
class Target:
    """What is configured: dlt's `name` of the destination, and the dataset (a schema, or a folder) in it."""

    name: str
    dataset: str = "chat"


def chosen(name: str | None, dataset: str | None, table_format: str | None = None) -> Target | None:
    """The destination that the settings name; None: the local file alone. UsageError for one that cannot be."""
    named = (name or LOCAL).strip().lower()
    if named == LOCAL:
        return None
    if named == "filesystem" and (table_format or "").strip().lower() != DELTA:
        raise UsageError(
            'destination filesystem needs table_format = "delta" beside it: in plain parquet files nothing can be '
            "replaced, so an edited or purged completion would stay there twice, and no count would be right."
        )
    if named not in KINDS:
        raise UsageError(
            f"destination is {named!r}, but it must be one of {', '.join((LOCAL, *KINDS))}: "
            f"the names are dlt's, and so are the settings, in [destination.NAME]."
        )
    return Target(named, _dataset(dataset or Target.dataset))


def check_installed(chosen: Target) -> None:
    """Raises UsageError, with the command that mends it, when something that the destination needs is not installed."""
    kind = KINDS[chosen.name]
    missing = [module for module in kind.modules if not _is_there(module)]
    if missing:
        raise UsageError(
            f"destination {chosen.name} needs {', '.join(missing)}, which is not installed: "
            f"pip install 'stored-completions[{kind.extra}]'"
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _dataset(name: str) -> str:
    if not (
        name.isascii() and name.replace("_", "a").isalnum() and name[0].isalpha() and name == name.lower()
    ):
        raise UsageError(
            f"dataset is {name!r}, but it must be a name of lower-case letters, digits and _, such as chat."
        )
    return name
