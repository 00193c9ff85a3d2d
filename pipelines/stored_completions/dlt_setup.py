"""dlt, imported when a sync has something to write, and set up as it needs it."""

import os
from threading import Thread
from typing import Any

_DLT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
    "LOAD__WORKERS": "1",
    "NORMALIZE__WORKERS": "1",
    "DATA_WRITER__ROW_GROUP_SIZE": "122880",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
}


def warm_up() -> Thread:
    """Imports dlt meanwhile: while one waits for the server, it costs no time."""
    thread = Thread(target=imported_dlt, name="import dlt")
    thread.start()
    return thread


def imported_dlt() -> Any:
    """dlt itself, set up as a sync needs it, unless the process has used it before."""
    for name, value in _DLT.items():
        os.environ.setdefault(name, value)
    import dlt

    import stored_completions.source  # noqa: F401
    from stored_completions import dlt_context

    dlt_context.settle()
    return dlt
