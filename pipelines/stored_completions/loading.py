"""The working file while it is written: dlt on a connection of ours, one package a round.

dlt is imported only once there is something to write: its import alone costs more than a sync with nothing new.
"""

import contextlib
import gc
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from stored_completions import blank, room, store, undo, warehouse
from stored_completions.dlt_setup import imported_dlt
from stored_completions.errors import WarehouseError
from stored_completions.lean import give_back
from stored_completions.publishing import mark_unpublished
from stored_completions.room import Room
from stored_completions.rounds import Round
from stored_completions.warehouse import Files

# Bytes for DuckDB, which keeps blocks up to that and spills what it reckons beyond: in general, while it writes, and what
# it may still keep of that when it has written. Long values need more.
_MEMORY = 200_000_000
_MEMORY_TO_WRITE = 100_000_000
_MEMORY_KEPT = 8_000_000
_FEW_ROUNDS = 2  # which leave a megabyte of cyclic garbage each: the first look for it costs 0.1 CPU s


class Loading:
    """Loads rounds; `last` names the newest package. While it is open dlt's working folder is there, which tells
    of a sync that died."""

    def __init__(self, files: Files) -> None:
        mark_unpublished(files)
        for left_behind in (files.dlt, files.shipping, files.spilled):
            shutil.rmtree(left_behind, ignore_errors=True)
        files.dlt.mkdir()
        self._files = files
        self.connection = warehouse.connect(files.working, read_only=False)
        try:
            blank.fill(self.connection, files.dlt)
            store.create_own_tables(self.connection)
            self.room = Room(self.connection, room.for_last(self.connection))
        except BaseException:
            self.connection.close()
            raise
        self.room.allow(_MEMORY)
        self._waiting: dict[str, pa.Table] = {}
        self._thread = ThreadPoolExecutor(1, "load")
        self._pipeline = self._thread.submit(self._made).result()
        self._may_be_recovered = False
        self._rounds = 0
        self.last: str | None = None

    def _made(self) -> Any:
        """The pipeline, to be made in the thread that runs it.

        dlt keeps errors that it met on its way, and an error keeps all frames that stood above it: of the main thread
        these hold a round and a page.
        """
        dlt = imported_dlt()
        from stored_completions import direct

        return dlt.pipeline(
            store.PIPELINE,
            pipelines_dir=str(self._files.dlt),
            destination=direct.destination(self.connection, self._waiting, self.room.make),
            dataset_name="chat",
        )

    def load(self, key: str, round_: Round) -> None:
        """Loads a round and its cursor, all or nothing; WarehouseError says why not.

        In a thread of its own, since dlt takes over the signals of the main thread.
        """
        from stored_completions.source import loaded_round

        source = loaded_round(key, round_, self._waiting)
        self._may_be_recovered = True
        with self.writing():
            undo.move_out(self.connection, *round_.replaced)
            try:
                loaded = self._thread.submit(
                    self._pipeline.run, source, loader_file_format="parquet"
                ).result()
            except Exception as error:
                raise WarehouseError(_why_unloaded(error, self._files)) from error
            undo.forget(self.connection)
        self.last = loaded.loads_ids[-1] if loaded.loads_ids else self.last
        self._may_be_recovered = False
        self._rounds += 1
        if self._rounds > _FEW_ROUNDS:
            gc.collect(0)
        give_back()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Holds DuckDB short of memory meanwhile, and lets go most of it afterwards: pages and rounds need it.

        One thread stores rows in their order at two thirds of what two cost, and into a smaller file. After an error
        nothing is set, for DuckDB may refuse it and hide what went wrong: the connection is only closed then.
        """
        self.room.allow(_MEMORY_TO_WRITE)
        self.connection.execute("set global threads = 1")
        yield
        self.connection.execute("reset global threads")
        self.room.limit(_MEMORY_KEPT)
        self.room.allow(_MEMORY)

    def close(self) -> None:
        """Closes the file; dlt's folder stays after a load that failed, so that the next sync recovers."""
        self._thread.shutdown()
        self.connection.close()
        if not self._may_be_recovered:
            shutil.rmtree(self._files.dlt, ignore_errors=True)


def _why_unloaded(error: BaseException, files: Files) -> str:
    """A sentence for a load that failed; the working file keeps every round before it."""
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
    return (
        f"A round could not be loaded into {files.working}: {warehouse.first_line(cause)} "
        f"{warehouse.remedy(files, cause)}"
    )
