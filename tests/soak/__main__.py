"""`python -m soak`: kills, stops and doubles syncs at random moments, until it has its number of kills.

After each the published copy is looked at, and two readers look at it all the time. At the end the
warehouse must be the account, exactly. Prints its tally; exit code 1 if a row was lost or doubled, a
reader met an error, or a sync ended as none may.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import duckdb

from rebuild import normal, rebuild
from soak import phases
from soak.reader import CHILDREN, problems
from soak.world import World
from soak.zygote import Running, Zygote
from stored_completions.warehouse import Files
from synced import NAME, tables

_LAST = "the warehouse at the end"


class Soak:
    """One run; `wrong` is everything that must not be."""

    def __init__(self, folder: Path, seed: int, size: int, readers: int) -> None:
        self.chance = Random(seed)
        self.folder = folder
        self.files = Files(folder / NAME)
        self.world = World(self.chance, size)
        self.tally: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._completions = 0
        self._spans = {False: 1.0, True: 1.0}
        self._readers = readers
        self._older: Path | None = None

    def run(self, kills: int, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds if seconds else None
        with self.world.sandbox as sandbox:
            self._zygote = Zygote(self.files.published, sandbox.base_url, self.folder / "said")
            command = [sys.executable, "-m", "soak.reader", str(self.files.published), "1"]
            looking = [
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(self._readers)
            ]
            try:
                while self.tally["kills"] < kills and (until is None or time.monotonic() < until):
                    self._step()
                self._settle()
            finally:
                self._zygote.close()
                for reader in looking:
                    reader.terminate()
                for reader in looking:
                    self._add_reader(json.loads(reader.communicate()[0]))
        return self._result()

    def _step(self) -> None:
        self.world.change()
        self.world.order_faults()
        self._meddle()
        act = self.chance.choices((self._kill, self._stop, self._double, self._finish), (80, 7, 7, 6))[0]
        act()
        self._look()
        if sys.stderr.isatty():
            print(f"\r{self.tally['kills']} kills, {self.tally['syncs']} syncs", end="", file=sys.stderr)  # noqa: T201

    def _start(self, *, full: bool = False) -> Running:
        self.tally["syncs"] += 1
        self.tally["full re-lists"] += full
        options = {"full": True} if full else {}
        return self._zygote.start(page_size=self.chance.choice((10, 20, 50)), max_attempts=4, **options)

    def _kill(self) -> None:
        """At a random moment, or as soon as the sync is at something that takes short."""
        full = self.chance.random() < 0.25
        wanted = self.chance.choice((None, phases.EXTRACT, phases.NORMALISE, phases.LOAD, phases.PUBLISH))
        running = self._start(full=full)
        began = time.monotonic()
        moment = began + self.chance.random() * (self._spans[full] if wanted is None else 0.05)
        while running.poll() is None:
            if time.monotonic() >= moment and wanted in (None, phases.phase(self.files)):
                at = phases.phase(self.files)
                running.send(signal.SIGKILL)
                break
            time.sleep(0.002)
        if running.wait() == -signal.SIGKILL:
            self.tally["kills"] += 1
            self.tally[f"kills in {at}"] += 1
            self.tally["kills in full re-lists"] += full
        else:
            self._spans[full] = (self._spans[full] + time.monotonic() - began) / 2
            self._expect("a sync", running.code, 0, 1, 2)

    def _stop(self) -> None:
        """SIGTERM or Ctrl-C."""
        running = self._start()
        time.sleep(self.chance.random() * self._spans[False])
        number, code = self.chance.choice(((signal.SIGTERM, 1), (signal.SIGINT, 130)))
        running.send(number)
        self.tally["signals"] += 1
        self._expect("a stopped sync", running.wait(), 0, code, 1, 2, -number)

    def _double(self) -> None:
        """Two at once: the one that finds the lock held must say so."""
        first, second = self._start(), self._start()
        codes = sorted((first.wait(), second.wait()))
        self.tally["pairs"] += 1
        self.tally["turned away"] += 75 in codes
        for code in codes:
            self._expect("one of two syncs", code, 0, 1, 2, 75)
        if codes == [75, 75]:
            self.wrong.append("two syncs turned each other away")

    def _finish(self) -> None:
        self._expect("an undisturbed sync", self._start(full=self.chance.random() < 0.3).wait(), 0, 1, 2)

    def _expect(self, what: str, code: int | None, *codes: int) -> None:
        if code not in codes:
            self.wrong.append(f"{what} ended with {code}")

    def _meddle(self) -> None:
        """Seldom: a file is lost, spoilt, or an older copy put back."""
        if self.chance.random() > 0.08 or not self.files.published.exists():
            return
        what = self.chance.choice(("removed", "older", "folder", "damaged", "spoilt", "keep"))
        if what == "keep" or self._older is None:
            self._older = Path(shutil.copy(self.files.published, self.folder / "older"))
            return
        self.tally[f"meddled: {what}"] += 1
        self._completions = 0
        if what == "removed":
            self.files.published.unlink()
        elif what == "older":
            os.replace(shutil.copy(self._older, self.folder / "put back"), self.files.published)
        elif what == "folder":
            shutil.rmtree(self.files.folder)
        elif not self.files.working.exists():
            return
        elif what == "damaged":
            self.files.working.write_bytes(b"no database" * 1000)
        else:
            self._spoil()

    def _spoil(self) -> None:
        """Another byte somewhere in a block of the working file."""
        spoilt = bytearray(self.files.working.read_bytes())
        spoilt[self.chance.randrange(12_288, len(spoilt))] ^= 0x55
        self.files.working.write_bytes(spoilt)

    def _look(self) -> None:
        """What is published is whole, and has no fewer rows than before."""
        if not self.files.published.exists():
            return
        if self.files.published.stat().st_mode & 0o777 != 0o444:
            self.wrong.append("the published copy can be written to")
        with closing(duckdb.connect(str(self.files.published), read_only=True)) as connection:
            completions, found = problems(connection)
        self.tally["looks"] += 1
        if found or completions < self._completions:
            self.wrong.append(f"{completions} completions after {self._completions}: {found}")
        self._completions = completions

    def _settle(self) -> None:
        """Syncs in peace, until nothing is new, then in full; all that was late has appeared.

        A spoilt byte makes one sync fail, of which nothing is expected: the next goes on from the published copy.
        Twice in full: the first may go on with a list that was cut, which saw rows that are deleted since.
        """
        self.world.end_faults()
        self.world.sandbox.clock.advance(2_000)
        full = {"full": True, "confirm_deletions": True}
        self._zygote.start().wait()
        for options in ({}, {}, full, full, {}):
            code = self._zygote.start(**options).wait()
            self._expect("a sync in peace", code, 0)

    def _result(self) -> dict[str, Any]:
        found = tables(self.folder)
        rebuilt = {id_: normal(row) for id_, row in rebuild(found).items()}
        wanted = {row["id"]: normal(row) for row in self.world.account.completions()}
        lost = [id_ for id_, row in wanted.items() if rebuilt.get(id_) != row]
        strange = [id_ for id_, row in rebuilt.items() if row not in self.world.versions.get(id_, ())]
        unmarked = [
            row["completion_id"]
            for row in found["completions"]
            if (row["completion_id"] in wanted) != (row["deleted_at"] is None)
        ]
        doubled = _doubled(self.files.published)
        self.wrong += [f"{_LAST} has not {id_} as it is" for id_ in lost[:5]]
        self.wrong += [f"{_LAST} has {id_} as it never was" for id_ in strange[:5]]
        self.wrong += [f"{_LAST} is wrong about the deletion of {id_}" for id_ in unmarked[:5]]
        self.wrong += [f"{_LAST} has doubled rows in {name}" for name, count in doubled.items() if count]
        kept = {
            "faults": self.world.faults,
            "requests": len(self.world.sandbox.requests),
            "completions": len(found["completions"]),
            "rows": sum(map(len, found.values())),
            "deleted": sum(row["deleted_at"] is not None for row in found["completions"]),
            "lost": len(lost) + len(strange),
            "doubled": sum(doubled.values()),
            "wrong": len(self.wrong),
        }
        return {**dict(sorted(self.tally.items())), **kept}

    def _add_reader(self, said: dict[str, Any]) -> None:
        self.tally["readers"] += 1
        self.tally["readers' queries"] += said["queries"]
        self.tally["readers' errors"] += len(said["errors"])
        self.tally["states that readers told apart"] += said["states"]
        self.wrong += [f"a reader: {error}" for error in said["errors"]]


def _doubled(path: Path) -> dict[str, int]:
    from stored_completions.tables import BY_NAME

    doubled = {}
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        for name in ("completions", *CHILDREN, "quarantine", "sync_runs"):
            key = ", ".join(BY_NAME[name].key)
            sql = f"select count(*) - count(distinct ({key})) from chat.{name}"
            doubled[name] = int(connection.execute(sql).fetchall()[0][0])
    return doubled


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak SOAK=...", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills to get through")
    parser.add_argument("--minutes", type=float, default=0, help="end earlier, after this time; 0: do not")
    parser.add_argument("--seed", type=int, default=1, help="of the moments, the faults and the account")
    parser.add_argument("--completions", type=int, default=300, help="size of the account at the beginning")
    parser.add_argument("--readers", type=int, default=2, help="processes that read all the time")
    options = parser.parse_args()
    folder = Path(mkdtemp(prefix="soak-"))
    soak = Soak(folder, options.seed, options.completions, options.readers)
    tally = soak.run(options.kills, options.minutes * 60)
    for what, count in tally.items():
        print(f"{what:32} {count:>10,}")  # noqa: T201
    for sentence in soak.wrong:
        print(f"WRONG: {sentence}", file=sys.stderr)  # noqa: T201
    if soak.wrong:
        print(f"Everything of it is kept in {folder}.", file=sys.stderr)  # noqa: T201
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
