"""Nothing that is off, hashed or purged is anywhere: not in a byte on the disk, in a log, in an error or in state.

Each text of an account carries a mark; every file below one folder is searched for them: warehouse, working
file, dlt's folder, HOME, the temporary folder, and what the commands printed, with everything logged that any
library logs. `pytest -n 0 -rP tests/test_leaks.py` prints what was searched.
"""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leaks import Artefact, searched
from planted import KEY, MARK, Marks, planted
from stored_completions.sandbox import Fault, Sandbox
from synced import NAME, NOW, one, serving, synced

DYING = Path(__file__).with_name("dying.py")
TALKING = (
    "import logging; logging.basicConfig(level=logging.DEBUG);from stored_completions.cli import main; main()"
)
FAULTS = [Fault.cut(0.4), Fault.not_json(), Fault.none(), Fault.reset(0.7)]
CONTENT = "SOURCES__STORED_COMPLETIONS__CONTENT"
HASHED = {CONTENT: "hash", f"{CONTENT}_KEY": "key-leak-" + "0123456789" * 4}


class Place:
    """A folder in which everything happens: HOME and the temporary folder are in it, and what is printed."""

    def __init__(self, folder: Path, sandbox: Sandbox, **settings: str) -> None:
        self.folder = folder
        self.sandbox = sandbox
        for name in ("home", "tmp", "printed"):
            (folder / name).mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "RUNTIME__LOG_LEVEL": "DEBUG",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": sandbox.base_url,
            "SOURCES__STORED_COMPLETIONS__PAGE_SIZE": "40",
            **settings,
        }

    def run(self, *arguments: str, code: int = 0, most_bytes: int | None = None) -> None:
        """The command line with every logger at DEBUG."""
        self._run(["-c", TALKING, *arguments], code, most_bytes)

    def dies(self, step: int) -> None:
        self._run([str(DYING), str(step), str(self.folder / NAME), "60"], -signal.SIGKILL)

    def searched(self) -> list[Artefact]:
        found = searched(self.folder, f"{MARK}|{KEY}|key-leak-")
        print(*(f"{each.name}  {each.size:,} bytes" for each in found), sep="\n")  # noqa: T201
        return found

    def _run(self, arguments: list[str], code: int, most_bytes: int | None = None) -> None:
        number = len(list((self.folder / "printed").iterdir()))
        with (self.folder / "printed" / f"{number} {' '.join(arguments[2:])[:40].replace('/', '_')}").open(
            "wb"
        ) as log:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_limited(most_bytes),
                check=False,
            )
        assert done.returncode == code, Path(log.name).read_text()[-2000:]


def _refusal() -> Fault:
    """A server that repeats the key."""
    return Fault.status(401, {"error": {"message": f"Incorrect API key provided: {KEY}."}})


def _limited(most_bytes: int | None) -> "object":
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes or 0, most_bytes or 0))

    return None if most_bytes is None else limit


def leaks(place: Place, marks: Marks) -> dict[str, list[str]]:
    """By artefact, where what was found there came from."""
    return {
        each.name: sorted({marks.places.get(text, text) for text in each.found})[:5]
        for each in place.searched()
        if each.found
    }


@pytest.mark.parametrize("settings", [{CONTENT: "drop"}, HASHED], ids=["drop", "hash"])
def test_content_that_is_off_is_nowhere(tmp_path: Path, settings: dict[str, str]) -> None:
    marks = Marks()
    account = planted(15, marks)
    with serving(account) as sandbox:
        place = Place(tmp_path, sandbox, **settings)
        if settings is HASHED:
            place.dies(160)
        else:
            place.run("sync", code=1, most_bytes=2_000_000)
        assert leaks(place, marks) == {}
        sandbox.faults.extend(FAULTS)
        place.run("sync", "--messages", "--log-format", "json")
        sandbox.faults.extend([_refusal()])
        place.run("sync", code=2)
        assert leaks(place, marks) == {}
    assert one(tmp_path, "select count(*) from chat.completions") == len(set(account.ids()))
    assert one(tmp_path, "select count(*) from chat.quarantine where body <> ''") >= 4


def test_what_was_purged_is_nowhere_and_does_not_come_back(tmp_path: Path) -> None:
    marks = Marks()
    with serving(planted(15, marks)) as sandbox:
        place = Place(tmp_path, sandbox, SOURCES__STORED_COMPLETIONS__IMAGES="once")
        place.run("sync", "--messages")
        _keep_one_aside(place)
        before = {text for each in place.searched() for text in each.found}
        assert before == marks.places.keys(), "every mark can be found where content is kept, and no key"
        place.run("purge", "--older-than", "0s", "--yes")
        assert leaks(place, marks) == {}
        assert one(tmp_path, "select sum(total_tokens) > 0 from chat.usage")
        place.run("sync", "--full", "--messages")
        assert leaks(place, marks) == {}


def _keep_one_aside(place: Place) -> None:
    """An older published copy is put back: what was synced since is kept beside the warehouse."""
    published = place.folder / NAME
    older = published.read_bytes()
    place.sandbox.account.add({"id": "later", "created": NOW - 30, "choices": []})
    synced(place.sandbox, place.folder)
    published.unlink()
    published.write_bytes(older)
    synced(place.sandbox, place.folder)
    kept = [path for path in (place.folder / ".stored_completions").iterdir() if path.suffix == ".duckdb"]
    assert len(kept) == 2
