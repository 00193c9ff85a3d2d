"""How a process that only syncs is set up to need little. For the command line: a library leaves this to its host."""

import ctypes
import gc

_ARENA_MAX, _MMAP_THRESHOLD = -8, -3  # glibc's names for what can be set, from malloc.h


def settle() -> None:
    """Looks for cyclic garbage a hundred times more seldom, and gives memory back when it is freed.

    A sync makes hundreds of thousands of rows and hardly a cycle: to look for one took a tenth of its CPU
    time. Arrow's own allocator keeps freed memory for itself: a fifth of the peak. The system's keeps what
    was large once, and an arena for each thread: pages come in others than rows are made in.
    """
    gc.set_threshold(100_000, 20, 20)

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 2)
        mallopt(_MMAP_THRESHOLD, 1 << 20)
