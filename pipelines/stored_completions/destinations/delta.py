"""Delta tables in a folder or a bucket, where dlt's destination `filesystem` puts and finds them.

Each table has transactions, but there is none over all of them. So before a package `publication` notes at which
version every table stands, and at the end that the package is there. One that died in between is undone by whichever
machine takes the lock next: each table is brought back to the noted version. Who reads in the meantime can see one
table ahead of another.

A table's log keeps the least and greatest values of each file for ever, also of files that are gone. Content must not
stand there: statistics are kept of keys, numbers and times alone.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from stored_completions.checks import CheckResult
from stored_completions.destinations import locks, through_dlt
from stored_completions.destinations.base import Standing, overtaken, short
from stored_completions.destinations.changes import Package, Part
from stored_completions.destinations.kinds import DELTA, Target
from stored_completions.destinations.leases import Lease
from stored_completions.destinations.texts import escaped
from stored_completions.destinations.units import SHIPPED
from stored_completions.errors import StoredCompletionsError, UsageError, WarehouseError
from stored_completions.tables import PUBLICATION, Table

_KEYS_AT_ONCE = 2_000
_ROWS_AT_ONCE = 20_000
_DENIED = ("access denied", "accessdenied", "invalidaccesskeyid", "signaturedoesnotmatch", "forbidden", "403")


class Delta:
    """See `base.Destination`."""

    def __init__(self, chosen: Target) -> None:
        self._dlt = through_dlt.client(chosen)
        self._config = self._dlt.config
        self.place = f"Delta tables in {self._config.bucket_url.rstrip('/')}/{chosen.dataset}"
        self._lease: Lease | None = None
        self._options: dict[str, str] | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        with ExitStack() as stack:
            with self._in_sentences():
                if self._config.is_local_filesystem:
                    stack.enter_context(self._locked_here())
                else:
                    self._lease = self._new_lease()
                    stack.enter_context(self._lease.held())
                self._undo()
            yield

    def is_held(self) -> bool:
        with self._in_sentences():
            if not self._config.is_local_filesystem:
                return self._new_lease().holder() is not None
        return self._lock_file.exists() and locks.is_held(self._locked_here)

    def standing(self) -> Standing | None:
        with self._in_sentences():
            return self._standing()

    def prepare(self) -> None:
        """Makes the tables that are missing. Those of an older version get new columns by the first rows that have
        them."""
        from deltalake import DeltaTable

        with self._in_sentences():
            for table in through_dlt.TABLES:
                if self._open(table) is None:
                    DeltaTable.create(
                        self._uri(table),
                        schema=_PUBLICATION if table is PUBLICATION else _schema(table),
                        storage_options=self._storage_options,
                        configuration={"delta.dataSkippingStatsColumns": ",".join(_without_content(table))},
                        description=table.description,
                    )

    def take(self, package: Package, old: Standing | None, new: Standing) -> None:
        with self._in_sentences():
            self._check(old)
            self._note(old, self._versions())
            for part in package.parts:
                self._remove(package, part, whole=old is None)
            for part in package.parts:
                for table in part.unit.tables:
                    if not package.is_empty(part.unit, table):
                        columns = [escaped(column) for column in table.columns]
                        self._append(table, package.rows(part.unit, table, columns))
            self._check(old)
            self._note(new, None)

    def read(self, table: Table) -> Iterator[pa.RecordBatch]:
        schema = _schema(table)
        with self._in_sentences():
            there = self._open(table)
            if there is None:
                return
            rows = there.to_pyarrow_dataset()
            known = [name for name in schema.names if name in rows.schema.names]
            for batch in rows.to_batches(columns=known, batch_size=_ROWS_AT_ONCE):
                columns = [
                    batch.column(field.name).cast(field.type)
                    if field.name in known
                    else pa.nulls(batch.num_rows, field.type)
                    for field in schema
                ]
                yield pa.record_batch(columns, schema=schema)

    def checks(self) -> list[CheckResult]:
        return []

    def erase_old(self) -> None:
        """Removes the files of rows that were replaced at once: readers of an older version lose it."""
        with self._in_sentences():
            for table in through_dlt.TABLES:
                if there := self._open(table):
                    there.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)

    def close(self) -> None:
        pass

    def _noted(self) -> dict[str, Any] | None:
        """The row of `publication`."""
        there = self._open(PUBLICATION)
        rows = there.to_pyarrow_table().to_pylist() if there else []
        return rows[0] if rows else None

    def _standing(self) -> Standing | None:
        noted = self._noted()
        if noted is None or noted["generation"] is None:
            return None
        return Standing(noted["generation"], noted["published_at"], noted["schema_version"])

    def _note(self, standing: Standing | None, versions: dict[str, int] | None) -> None:
        """Writes where the dataset stands; `versions` of all tables while a package is on its way."""
        row = {
            "generation": standing.generation if standing else None,
            "published_at": standing.published_at if standing else None,
            "schema_version": standing.schema_version if standing else None,
            "undo_versions": None if versions is None else json.dumps(versions),
        }
        self._write(PUBLICATION, pa.Table.from_pylist([row], schema=_PUBLICATION), mode="overwrite")

    def _versions(self) -> dict[str, int]:
        opened = ((table, self._open(table)) for table in SHIPPED)
        return {table.name: there.version() for table, there in opened if there}

    def _undo(self) -> None:
        """Brings each table back to where it stood before a package that died."""
        noted = self._noted()
        if noted is None or noted["undo_versions"] is None:
            return
        versions = json.loads(noted["undo_versions"])
        for table in SHIPPED:
            there = self._open(table)
            if there is not None and table.name in versions and there.version() != versions[table.name]:
                there.restore(versions[table.name])
        self._note(self._standing(), None)

    def _check(self, old: Standing | None) -> None:
        """That nobody else writes, and nobody has."""
        if self._lease is not None:
            self._lease.check()
        now = self._standing()
        if (now and now.generation) != (old and old.generation):
            raise overtaken(self.place)

    def _remove(self, package: Package, part: Part, *, whole: bool) -> None:
        """Removes what the part replaces; `whole`: whatever is there, for it stands under no generation."""
        keys = package.keys(part.unit, replaced_only=True) if part.replaced and part.unit.key else []
        for table in part.unit.tables:
            there = self._open(table)
            if there is None or not there.file_uris():
                continue
            if part.unit.key is None or whole:
                there.delete()
                continue
            for first in range(0, len(keys), _KEYS_AT_ONCE):
                listed = ", ".join(_quoted(key) for key in keys[first : first + _KEYS_AT_ONCE])
                there.delete(f"{part.unit.key} in ({listed})")

    def _append(self, table: Table, rows: pa.RecordBatchReader) -> None:
        schema = _schema(table)
        self._write(
            table,
            pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in rows)),
            mode="append",
        )

    def _write(self, table: Table, rows: Any, mode: Any) -> None:
        from deltalake import write_deltalake

        write_deltalake(
            self._uri(table),
            rows,
            mode=mode,
            schema_mode="merge" if mode == "append" else None,
            storage_options=self._storage_options,
        )

    def _open(self, table: Table) -> Any:
        """None where there is no such table."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            return DeltaTable(self._uri(table), storage_options=self._storage_options)
        except TableNotFoundError:
            return None

    def _uri(self, table: Table) -> str:
        return str(self._dlt.get_open_table_location(DELTA, table.name))

    @property
    def _storage_options(self) -> dict[str, str]:
        if self._options is None:
            from dlt.common.libs.deltalake import deltalake_storage_options

            self._options = dict(
                deltalake_storage_options(self._config.credentials, self._config.deltalake_storage_options)
            )
        return self._options

    @property
    def _lock_file(self) -> Path:
        folder = Path(self._dlt.dataset_path)
        return folder.with_name(f"{folder.name}.lock")

    def _locked_here(self) -> AbstractContextManager[None]:
        return locks.beside(self._lock_file, self.place)

    def _new_lease(self) -> Lease:
        return Lease(self._dlt.fs_client, f"{self._dlt.dataset_path.rstrip('/')}.lock", self.place)

    @contextmanager
    def _in_sentences(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, BotoCoreError, ClientError, OSError, pa.ArrowException) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> StoredCompletionsError:
        text = short(str(error) or type(error).__name__)
        if isinstance(error, PermissionError) or any(word in str(error).lower() for word in _DENIED):
            return UsageError(
                f"{self.place}: the store does not accept the key, or the key may not write there ({text}). Set it in "
                f"[destination.filesystem.credentials] of .dlt/secrets.toml. What was synced is kept here."
            )
        return WarehouseError(
            f"{self.place} failed: {text}. What was synced is kept here, and the next sync ships what is behind."
        )


_PUBLICATION = pa.schema(
    [
        *(field.with_nullable(True) for field in PUBLICATION.schema),
        pa.field("undo_versions", pa.string()),
    ]
)


def _schema(table: Table) -> pa.Schema:
    return pa.schema(field.with_nullable(True) for field in table.schema)


def _without_content(table: Table) -> list[str]:
    """Columns that no message, answer or value of metadata can stand in."""
    return [
        column.name
        for column in table.columns
        if column.name in table.key or column.type not in ("text", "json", "binary")
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
