"""Which destinations there are, by dlt's names, and what each needs installed."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from stored_completions.errors import UsageError

DELTA = "delta"
DLT = "dlt"
LOCAL = "duckdb"
"""The default: the local file, and nothing is shipped."""


@dataclass(frozen=True)
class Kind:
    """`modules` must be importable; the package `install` brings them. `is_tested`: by `make test-engines`."""

    install: str
    modules: tuple[str, ...]
    is_tested: bool = True


KINDS: Mapping[str, Kind] = {
    "postgres": Kind(
        "stored-completions[postgres]", ("psycopg2", "adbc_driver_manager", "adbc_driver_postgresql")
    ),
    "ducklake": Kind("stored-completions[ducklake]", ("duckdb_extension_ducklake",)),
    "filesystem": Kind("stored-completions[delta]", ("deltalake", "s3fs")),
    "motherduck": Kind("dlt[motherduck]", ("duckdb",), is_tested=False),
    "snowflake": Kind("dlt[snowflake]", ("snowflake.connector",), is_tested=False),
    "bigquery": Kind("dlt[bigquery]", ("google.cloud.bigquery",), is_tested=False),
    "databricks": Kind("dlt[databricks]", ("databricks.sql",), is_tested=False),
    "clickhouse": Kind("dlt[clickhouse]", ("clickhouse_driver", "clickhouse_connect"), is_tested=False),
}


@dataclass(frozen=True)
class Target:
    """What is configured: dlt's `name` of the destination, and the dataset (a schema, or a folder) in it.

    `goes_through_dlt`: rows are loaded by a pipeline of dlt's, and not by a way of ours.
    """

    name: str
    dataset: str = "chat"
    goes_through_dlt: bool = False

    @property
    def schemas(self) -> dict[str, str]:
        """What our schemas are called there: marts, or after the dataset's own name."""
        prefix = "" if self.dataset == Target.dataset else f"{self.dataset}_"
        return {"chat": self.dataset, "marts": f"{prefix}marts", "reports": f"{prefix}reports"}

    @property
    def marts(self) -> str:
        return self.schemas["marts"]


def chosen(
    name: str | None, dataset: str | None, table_format: str | None = None, loader: str | None = None
) -> Target | None:
    """The destination that the settings name; None: the local file alone. UsageError for one that cannot be."""
    kind = (name or LOCAL).strip().lower()
    if kind == LOCAL:
        return None
    if kind == "filesystem" and (table_format or "").strip().lower() != DELTA:
        raise UsageError(
            'destination filesystem needs table_format = "delta" beside it: in plain parquet files nothing can be '
            "replaced, so an edited or purged completion would stay there twice, and no count would be right."
        )
    if kind not in KINDS:
        raise UsageError(
            f"destination is {kind!r}, but it must be one of {', '.join((LOCAL, *KINDS))}: "
            f"the names are dlt's, and so are the settings, in [destination.NAME]."
        )
    return named(kind, dataset, _is_through_dlt(kind, loader))


def named(kind: str, dataset: str | None, goes_through_dlt: bool = False) -> Target:
    """With the dataset of that name, or the default one; UsageError for a name that cannot be."""
    return Target(kind, _dataset(dataset or Target.dataset), goes_through_dlt)


def _is_through_dlt(kind: str, loader: str | None) -> bool:
    asked = (loader or "").strip().lower()
    if asked not in ("", DLT) or (asked == DLT and kind in ("ducklake", "filesystem")):
        raise UsageError(
            f"loader is {asked!r} for destination {kind}, but it may only be {DLT!r}, and for postgres: a lock and a "
            f"loader that need no session of their own, for servers behind a pooler."
        )
    return asked == DLT or not KINDS[kind].is_tested


def check_installed(chosen: Target) -> None:
    """Raises UsageError, with the command that mends it, when something that the destination needs is not installed."""
    kind = KINDS[chosen.name]
    missing = [module for module in kind.modules if not _is_there(module)]
    if missing:
        raise UsageError(
            f"destination {chosen.name} needs {', '.join(missing)}, which is not installed: "
            f"pip install '{kind.install}'"
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
