"""`make bench`: CPU seconds, peak memory and rows per CPU second of a sync, beside what people could do instead.

    python -m bench.run --account 'top 5' --scale 0.1 --runs 3 --without 'dlt rest_api' --markdown

CPU seconds are user and system time of whole processes, imports included, with their children; the
sandbox that serves the account runs apart and is not counted. Figures are medians. Rows are the rows
of our tables, for every contender, so that rows per CPU second compare. "% of JSON" is the file beside
the JSON that it came from; "x server" the time from start to end beside what the server's pages took,
where the server is a slow one.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click

from bench import profile, table
from bench.accounts import ACCOUNTS, BY_NAME, Account
from bench.contenders import CONTENDERS, LATER, OURS, RAW, Contender, Job, environment, program
from bench.meter import Cost, Failed, measured
from bench.server import Server, served

RELATIONS = ("completions", "choices", "tool_calls", "usage", "metadata", "logprobs", "top_logprobs")
HEADER = (
    "account", "contender", "CPU s", "x raw SQL", "peak MB", "rows / CPU s", "file MB", "% of JSON", "requests",
    "x server", "runs",
)  # fmt: skip
WORDS = 2

Counts = dict[str, int]


@dataclass(frozen=True)
class Run:
    """One step of one contender: its cost, the file it left, the requests it made and the server's time for them."""

    cost: Cost
    megabytes: float
    requests: int
    served: float


@dataclass(frozen=True)
class Measured:
    """All runs on one account by step, the rows that each contender left by table, and why one left none."""

    account: Account
    json_megabytes: float
    runs: dict[str, list[Run]]
    counts: dict[str, Counts]
    failures: dict[str, str]

    @property
    def rows(self) -> int:
        """Rows of our tables; ours and raw SQL have the same."""
        alike = next((self.counts[name] for name in (OURS, RAW, LATER) if name in self.counts), {})
        return sum(alike.get(name, 0) for name in RELATIONS)

    def cpu(self, step: str) -> float | None:
        runs = self.runs.get(step)
        return median(run.cost.cpu for run in runs) if runs else None


class Disagreement(Exception):
    """Ours and raw SQL did not make the same rows of the same account."""


@click.command()
@click.option(
    "--account", "names", multiple=True, type=click.Choice(list(BY_NAME)), help="Only this; repeatable."
)
@click.option("--scale", default=1.0, show_default=True, help="So many times the completions.")
@click.option(
    "--runs", default=3, show_default=True, type=click.IntRange(min=1), help="Runs that a median is of."
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice([each.name for each in CONTENDERS]),
    help="Not this; repeatable.",
)
@click.option(
    "--corpus",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of the recorded corpus, for the account of that name.",
)
@click.option("--profile", "is_profile", is_flag=True, help="Instead: on what ours spends its CPU seconds.")
@click.option("--markdown", is_flag=True, help="The table as Markdown.")
def main(
    names: tuple[str, ...],
    scale: float,
    runs: int,
    without: tuple[str, ...],
    corpus: Path | None,
    is_profile: bool,
    markdown: bool,
) -> None:
    """Measure a sync beside raw DuckDB SQL and dlt's rest_api source, on generated accounts."""
    contenders = [each for each in CONTENDERS if each.name not in without]
    chosen = [account for account in ACCOUNTS if not names or account.name in names]
    accounts = [account.scaled(scale) for account in chosen if _is_there(account, corpus)]
    draw = table.markdown if markdown else table.aligned
    if is_profile:
        phases = [
            profile.rows(_with(account, corpus), runs) for account in accounts if OURS in account.contenders
        ]
        click.echo(draw(profile.HEADER, [cells for each in phases for cells in each], WORDS))
        return
    try:
        found = [measure(_with(account, corpus), contenders, runs) for account in accounts]
    except (Failed, Disagreement) as error:
        raise click.ClickException(str(error)) from None
    click.echo(draw(HEADER, [cells for each in found for cells in rows(each)], WORDS))
    click.echo("\n".join(sentence for each in found for sentence in sentences(each)))


def _is_there(account: Account, corpus: Path | None) -> bool:
    return corpus is not None or not account.is_recorded


def _with(account: Account, corpus: Path | None) -> Account:
    return replace(account, recipe={"corpus": str(corpus)}) if account.is_recorded else account


def measure(account: Account, contenders: list[Contender], runs: int) -> Measured:
    """Everything about one account, in a temporary folder; Disagreement if the rows are not the same."""
    with (
        TemporaryDirectory(prefix="stored-completions-bench-") as name,
        served(account, Path(name)) as server,
    ):
        found = Measured(account, server.ndjson.stat().st_size / 1e6, {}, {}, {})
        for number in range(runs):
            for contender in contenders:
                if contender.name not in account.contenders:
                    continue
                if number and contender.name in account.once:
                    continue
                click.echo(f"{account.name}: {contender.name}, run {number + 1}", err=True)
                with TemporaryDirectory(dir=name) as folder:
                    try:
                        for step, run in _steps(contender, server, Path(folder)):
                            found.runs.setdefault(step, []).append(run)
                    except Failed as error:
                        if contender.is_ours_alike:
                            raise
                        found.failures[contender.name] = error.why
                        continue
                    found.counts[contender.name] = counted(Path(folder) / "w.duckdb")
                _agree(found.counts, contenders)
    return found


def rows(found: Measured) -> list[tuple[str, ...]]:
    """The table's rows about one account, as text."""
    return [_cells(found, step, runs) for step, runs in found.runs.items()]


def sentences(found: Measured) -> list[str]:
    """What the table does not say: how large the account is, and who made how many rows of it."""
    account = found.account
    made = ", ".join(f"{name} {sum(counts.values()):,}" for name, counts in found.counts.items())
    lost = {name: account.completions - counts.get("completions", 0) for name, counts in found.counts.items()}
    lacking = "".join(
        f" {name} misses {number:,} completions." for name, number in lost.items() if number > 0
    )
    failed = "".join(f" {name} failed: {why}" for name, why in found.failures.items())
    return [
        f"{account.name}: {account.completions:,} completions, {found.json_megabytes:,.1f} MB of JSON, "
        f"{found.rows:,} rows in our tables. Rows in all tables: {made}.{lacking}{failed}"
    ]


def counted(warehouse: Path) -> Counts:
    """Rows by table of schema chat."""
    said = subprocess.run(program("count.py", warehouse), check=True, capture_output=True).stdout
    counts: Counts = json.loads(said)
    return counts


def _steps(contender: Contender, server: Server, folder: Path) -> Iterator[tuple[str, Run]]:
    job = Job(server.base_url, server.ndjson, folder / "w.duckdb")
    begun = server.status().now
    for step in contender.steps(job):
        before = server.status()
        cost = measured(step.command, folder, environment(job, folder))
        if step.name:
            after = server.status()
            megabytes = job.warehouse.stat().st_size / 1e6
            requests, seconds = after.requests - before.requests, after.seconds - before.seconds
            yield step.name, Run(cost, megabytes, requests, seconds)
    if server.status().now != begun:
        server.put_clock(begun)  # else what comes later would be there from the beginning of the next run


def _agree(counts: dict[str, Counts], contenders: list[Contender]) -> None:
    alike = {
        each.name: counts[each.name] for each in contenders if each.is_ours_alike and each.name in counts
    }
    for name in RELATIONS:
        sizes = {who: found.get(name, 0) for who, found in alike.items()}
        if len(set(sizes.values())) > 1:
            raise Disagreement(f"{name} does not have the same rows everywhere: {sizes}.")


def _cells(found: Measured, step: str, runs: list[Run]) -> tuple[str, ...]:
    cpu, floor = found.cpu(step), found.cpu(RAW)
    assert cpu is not None
    is_whole = step in found.counts and step != LATER
    megabytes = median(run.megabytes for run in runs)
    waited = [run.cost.wall / run.served for run in runs if found.account.latency and is_whole]
    return (
        found.account.name,
        step,
        f"{cpu:.2f}",
        f"{cpu / floor:.2f}" if floor and is_whole else "",
        f"{median(run.cost.peak for run in runs):.0f}",
        f"{found.rows / cpu:,.0f}" if found.rows and is_whole else "",
        f"{megabytes:.1f}",
        f"{100 * megabytes / found.json_megabytes:.1f}" if is_whole else "",
        f"{median(run.requests for run in runs):.0f}",
        f"{median(waited):.2f}" if waited else "",
        str(len(runs)),
    )


if __name__ == "__main__":
    main()
