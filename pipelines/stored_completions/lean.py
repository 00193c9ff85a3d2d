"""How a process that only syncs is set up to need little. For the command line: a library leaves this to its host."""

import ctypes
import gc
import os
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # glibc's names, from malloc.h
_ALLOCATORS = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "DUCKDB_JE_MALLOC_CONF": "dirty_decay_ms:100,muzzy_decay_ms:0",
}


def settle() -> None:
    """Looks for cyclic garbage hundreds of times more seldom, and gives memory back when it is freed.

    A sync makes hundreds of thousands of rows and hardly a cycle: to look for one took a tenth of its CPU
    time, and nearly as many objects are there once dlt is imported. Arrow's own allocator and DuckDB's keep
    freed memory for themselves: a fifth of the peak. The system's keeps what was large once, and an arena for
    each thread: pages come in others than rows are made in. It would give back the few megabytes in which batches
    of logprobs become columns, one after the other, and clear them anew for each: 2 microseconds for every 4 KB.
    httpx does without its own command line, which would import rich and pygments, where that cannot be imported.
    Has to come before any of them is imported.
    """
    gc.set_threshold(300_000, 20, 20)
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    for name, value in _ALLOCATORS.items():
        os.environ.setdefault(name, value)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 2)
        mallopt(_MMAP_THRESHOLD, 1 << 20)
        mallopt(_TRIM_THRESHOLD, 16 << 20)
        mallopt(_TOP_PAD, 8 << 20)


def give_back() -> None:
    """Returns to the system what was freed between things that are still in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
