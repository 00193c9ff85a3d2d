"""`python dying_there.py WAREHOUSE AFTER`: a sync that kills itself when a package is about to arrive, or (1) has arrived.

The destination's own `take` is the seam: what it does is untouched.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from stored_completions.config import settings
from stored_completions.destinations import shipping
from stored_completions.sync import sync


def main(path: Path, after: bool) -> None:
    opened = shipping.opened

    def deadly(target: Any) -> Any:
        destination: Any = opened(target)
        take = destination.take

        def last(*given: Any) -> None:
            if after:
                take(*given)
            os.kill(os.getpid(), signal.SIGKILL)

        destination.take = last
        return destination

    shipping.opened = deadly
    sync(settings({}, os.environ, path.parent), path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "1")
