"""Wall time of a first sync against a server that takes its time: python -m bench.waiting --pages 120 --latency 0.3

The server's page times are what one chain of pages cannot go below. Each row is whole processes, from start to
published copy: one chain, both ends at once, and four chains, two of them from the middle, where probes find rows.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click

from bench import table
from bench.contenders import SYNC, program
from bench.meter import measured

HEADER = ("chains", "requests", "wall s", "x page times", "x faster", "CPU s", "runs")
CHAINS = (1, 2, 4)


@click.command()
@click.option("--pages", default=120, show_default=True, help="Pages of 100 completions.")
@click.option("--latency", default=0.3, show_default=True, help="Seconds that the server takes for a page.")
@click.option(
    "--runs", default=3, show_default=True, type=click.IntRange(min=1), help="Runs that a median is of."
)
@click.option("--markdown", is_flag=True, help="The table as Markdown.")
def main(pages: int, latency: float, runs: int, markdown: bool) -> None:
    """Measure how much of the wall time of a first sync is the server's."""
    with served(pages * 100, latency) as base_url:
        page = seconds_per_page(base_url)
        found = {chains: [first_sync(base_url, chains) for _ in range(runs)] for chains in CHAINS}
    alone = median(wall for wall, _, _ in found[1])
    rows = [
        (
            str(chains),
            f"{median(requests for _, requests, _ in each):.0f}",
            f"{median(wall for wall, _, _ in each):.1f}",
            f"{median(wall / (requests * page) for wall, requests, _ in each):.2f}",
            f"{alone / median(wall for wall, _, _ in each):.2f}",
            f"{median(cpu for _, _, cpu in each):.1f}",
            str(runs),
        )
        for chains, each in found.items()
    ]
    click.echo((table.markdown if markdown else table.aligned)(HEADER, rows, 0))
    click.echo(f"{pages * 100:,} completions; the server takes {page:.3f} s a page.")


@contextmanager
def served(completions: int, latency: float) -> Iterator[str]:
    command = program("serve_slowly.py", completions, latency)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def seconds_per_page(base_url: str) -> float:
    """As the server itself says, one page after the other."""
    return float(subprocess.run(program("page_time.py", base_url), check=True, capture_output=True).stdout)


def first_sync(base_url: str, chains: int) -> tuple[float, int, float]:
    """Wall seconds, requests and CPU seconds of one sync into a new warehouse."""
    with TemporaryDirectory(prefix="stored-completions-bench-") as name:
        environment = {
            "HOME": name,
            "OPENAI_API_KEY": "sk-sandbox",
            "OPENAI_BASE_URL": base_url,
            "SOURCES__STORED_COMPLETIONS__CHAINS": str(chains),
        }
        began = time.monotonic()
        cost = measured([str(SYNC), "sync", "--json"], Path(name), environment)
        wall = time.monotonic() - began
        return wall, int(json.loads((Path(name) / "output.txt").read_text())["requests"]), cost.cpu


if __name__ == "__main__":
    main()
