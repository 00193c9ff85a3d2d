"""What `verify` found: shown to people, as JSON, and judged in the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from stored_completions.commands.options import until_closed
from stored_completions.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from stored_completions.checks import CheckResult
    from stored_completions.comparing import Comparison
    from stored_completions.destinations.comparing import Compared
    from stored_completions.verify import Wholeness

_MOST_SHOWN = 10
_THERE = ", at the destination"


@dataclass
class Findings:
    """Whether the files can be read, how each check went, what differs from each account's list, and what is at the
    destination: each table and how the checks went there."""

    whole: "Wholeness"
    checks: "Sequence[CheckResult]"
    compared: "Sequence[Comparison]" = ()
    tables: "Sequence[Compared]" = ()
    checks_there: "Sequence[CheckResult]" = ()

    def show_checks(self, as_json: bool) -> None:
        """Says how each went, before the API is asked; JSON comes as a whole in the end."""
        if not as_json:
            with until_closed():
                _show_checks(self.checks)

    def show_rest(self) -> None:
        if self.whole.published:
            click.echo("The other checks were not run: they read what is damaged.")
        if self.whole.unread:
            click.echo(f"{self.whole.files.working} was not read: {self.whole.unread}.")
        _show_compared(self.compared)
        _show_checks(self.checks_there, _THERE)
        _show_tables(self.tables)

    def as_json(self) -> dict[str, Any]:
        return {
            "warehouse": str(self.whole.files.published),
            "is_sound": not any(check.failing_rows for check in (*self.checks, *self.checks_there))
            and all(each.is_sound for each in self.compared)
            and all(table.is_same for table in self.tables),
            "checks": [_check_as_json(check) for check in self.checks],
            "not_read": [str(self.whole.files.working)] if self.whole.unread else [],
            "against_api": [each.as_json() for each in self.compared],
            "destination": [vars(table) for table in self.tables],
            "destination_checks": [_check_as_json(check) for check in self.checks_there],
        }

    def judge(self) -> None:
        """Raises Unmet, which exits with 3, if anything is not as it should be."""
        from stored_completions.errors import Unmet

        said = [*_failed(self.checks), *_failed(self.checks_there, _THERE)]
        if self.whole.published or self.whole.working:
            said.append(self.whole.remedy())
        said += [
            f"Source {each.source} differs from the API's list: `stored-completions sync --full` reads it anew."
            for each in self.compared
            if not each.is_sound
        ]
        different = [table.table for table in self.tables if not table.is_same]
        if different:
            said.append(
                f"The destination differs in {', '.join(different)}: sync once more if it is only behind; else somebody "
                f"wrote there, and its dataset is to be dropped, which lets the next sync ship everything anew."
            )
        if said:
            raise Unmet(" ".join(said))


def _show_checks(checks: "Sequence[CheckResult]", where: str = "") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for check in checks:
        _show_check(check, console, where)


def _show_check(check: "CheckResult", console: "Console", where: str) -> None:
    from stored_completions.tabular import draw

    if not check.failing_rows:
        console.print(f"ok    {check.name}{where}")
        return
    rows = f"{check.failing_rows:,} row{'' if check.failing_rows == 1 else 's'}"
    console.print(f"FAIL  {check.name}{where}, {rows}: {check.description}", soft_wrap=True, markup=False)
    draw(console, list(check.sample[0]), [list(row.values()) for row in check.sample])
    if check.failing_rows > len(check.sample):
        console.print(f"and {check.failing_rows - len(check.sample):,} more")


def _show_compared(compared: "Sequence[Comparison]") -> None:
    for found in compared:
        since = f"{found.covered_from:%Y-%m-%d %H:%M:%S} to " if found.covered_from else "up to "
        mark = "ok  " if found.is_sound else "FAIL"
        click.echo(
            f"{mark}  source {found.source} against the API, {since}{found.settled_at:%Y-%m-%d %H:%M:%S} UTC: "
            f"{counted(found.listed, 'completion')} listed"
        )
        for name, meaning, named in found.differences():
            if named.count:
                more = f" and {named.count - _MOST_SHOWN:,} more" if named.count > _MOST_SHOWN else ""
                click.echo(
                    f"      {name}: {named.count:,} {meaning}: {', '.join(named.ids[:_MOST_SHOWN])}{more}"
                )
        for said in _remarks(found):
            click.echo(f"      {said}")


def _show_tables(tables: "Sequence[Compared]") -> None:
    for table in tables:
        mark = "ok  " if table.is_same else "FAIL"
        click.echo(
            f"{mark}  {table.table}: {table.rows_here:,} rows here, {table.rows_there:,} at the destination"
        )


def _remarks(found: "Comparison") -> list[str]:
    """What is no difference, but worth knowing."""
    remarks = [
        (
            found.not_due,
            "listed ones are newer, or older, than what a sync claims to have so far: not judged",
        ),
        (found.expired, "are older than the oldest that the API lists: expired, no difference"),
        (found.unsure, "stand in seconds that the server would not list whole, or have no time: not judged"),
    ]
    said = [f"{number:,} {what}." for number, what in remarks if number]
    return said + ([f"What is here and not listed was not judged: {found.doubt}."] if found.doubt else [])


def _check_as_json(check: "CheckResult") -> dict[str, Any]:
    return {
        "name": check.name,
        "description": check.description,
        "failing_rows": check.failing_rows,
        "sample": list(check.sample),
    }


def _failed(checks: "Sequence[CheckResult]", where: str = "") -> list[str]:
    """A sentence on those that failed, if any did."""
    names = [check.name for check in checks if check.failing_rows]
    return [f"{len(names)} of {len(checks)} checks failed{where} ({', '.join(names)})."] if names else []
