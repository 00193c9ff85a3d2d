"""The sandbox as a program of its own, until it is told to stop."""

import signal
from collections.abc import Callable
from threading import Event
from typing import Any

from .account import Account
from .server import Sandbox


def serve(account: Account, *, port: int = 0, announce: Callable[[str], None], **options: Any) -> None:
    """Serves until SIGINT or SIGTERM; `announce` is told the base URL once it can be used.

    To be called from the main thread; `options` are those of Sandbox.
    """
    told_to_stop = Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: told_to_stop.set()) for number in signals}
    try:
        with Sandbox(account, port=port, **options) as sandbox:
            announce(sandbox.base_url)
            told_to_stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
