"""`python dying_there.py WAREHOUSE MOMENT`: a sync that kills itself before, inside or after its first package.

The destination's own methods are the seam: what they do is untouched.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stored_completions.config import settings
from stored_completions.destinations import shipping
from stored_completions.sync import sync

_WRITES = ("_ingest", "_append", "_move")  # what each kind of destination adds a table's rows with


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(path: Path, moment: str) -> None:
    opened = shipping.opened

    def deadly(*given: Any) -> Any:
        destination: Any = opened(*given)
        if moment == "inside":
            name = next(name for name in _WRITES if hasattr(destination, name))
            setattr(destination, name, _second_dies(getattr(destination, name)))
            return destination
        take = destination.take

        def last(*given: Any) -> None:
            if moment == "after":
                take(*given)
            die()

        destination.take = last
        return destination

    shipping.opened = deadly
    sync(settings({}, os.environ, path.parent), path)


def _second_dies(write: Callable[..., None]) -> Callable[..., None]:
    """Writes one table's rows, and dies when the next one's are to come."""
    written: list[bool] = []

    def once(*given: Any, **how: Any) -> None:
        if written:
            die()
        written.append(True)
        write(*given, **how)

    return once


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
