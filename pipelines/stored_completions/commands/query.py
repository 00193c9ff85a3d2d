"""`query`: SQL on the warehouse, read-only."""

import sys
from pathlib import Path

import click

from stored_completions.commands.options import warehouse_option


@click.command(short_help="Run SQL on the warehouse, read-only.")
@click.argument("sql")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json"]),
    help="How rows are printed; a table shows 1,000 at most.  [default: table, and csv into a pipe]",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Write to this file, as its suffix says: .parquet, .csv, .json, or .ndjson with an object a line.",
)
@warehouse_option
def query(warehouse: Path, sql: str, output: Path | None, kind: str | None) -> None:
    """Run one SQL statement on the warehouse, read-only. `-` takes it from stdin.

    The SQL reaches the warehouse only: no other file, no network. To join other data, open the file in any DuckDB
    client. JSON has times in ISO 8601 (UTC), all digits of integers and decimals, and null for NaN; CSV has
    nothing for NULL and "" for an empty text.

    \b
    Examples:
      stored-completions query "select model, sum(total_tokens) from marts.daily_usage group by model"
      stored-completions query "select name, count(*) from chat.tool_calls group by name" --format json
      stored-completions query "from marts.completions_wide" --output completions.parquet
      stored-completions query - < report.sql
    """
    from stored_completions.query import export, run

    statement = sys.stdin.read() if sql == "-" else sql
    if output is None:
        run(warehouse, statement, kind or ("table" if sys.stdout.isatty() else "csv"))
    elif kind is not None:
        raise click.UsageError("--format is for printing; --output takes its format from the suffix.")
    else:
        rows = export(warehouse, statement, output)
        click.echo(f"{rows:,} row{'' if rows == 1 else 's'} written to {output}", err=True)
