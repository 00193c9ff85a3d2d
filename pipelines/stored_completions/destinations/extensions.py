"""DuckDB's extensions, out of their packages on the index: none is fetched from the network while a sync runs."""

from importlib.util import find_spec
from pathlib import Path

import duckdb

from stored_completions.errors import UsageError

PACKAGE = "duckdb_extension_{}"


def loading(*names: str) -> list[str]:
    """Statements that load them into a new connection; UsageError, with the command that mends it, where one lacks."""
    return ["set autoinstall_known_extensions = false", *(f"load '{_path(name)}'" for name in names)]


def _path(name: str) -> Path:
    spec = find_spec(PACKAGE.format(name))
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found = [
        path
        for folder in folders
        for path in folder.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension")
    ]
    if not found:
        raise UsageError(
            f"destination ducklake needs DuckDB's extension {name}, and there is none here for DuckDB "
            f"{duckdb.__version__}: pip install 'stored-completions[ducklake]', which brings the extensions and the "
            f"DuckDB that they are for."
        )
    return found[0]
