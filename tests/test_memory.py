"""What a sync does not hold on to."""

import gc
from pathlib import Path

from stored_completions.reader import Taken
from stored_completions.rounds import Bounds
from stored_completions.sandbox import Account
from synced import Heard, serving, synced


class Counting(Heard):
    """How many pages there are in memory each time that one was read."""

    def __init__(self) -> None:
        super().__init__()
        self.living: list[int] = []

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        super().page(pages, rows, newest)
        self.living.append(sum(type(each) is Taken for each in gc.get_objects()))


def test_a_page_is_let_go_once_its_round_is_loaded(tmp_path: Path) -> None:
    watcher, bounds = Counting(), Bounds(completions=20)
    with serving(Account.generate(100)) as sandbox:
        synced(sandbox, tmp_path, watcher=watcher, bounds=bounds, page_size=20)
    assert len(watcher.living) >= 5
    assert set(watcher.living) == {1}
