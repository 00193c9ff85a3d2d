"""`views`: the statements that make the views in another engine."""

import click

from stored_completions.commands.options import until_closed


@click.command(short_help="The views as SQL, for another engine.")
@click.option(
    "--dialect",
    type=click.Choice(["duckdb", "postgres", "spark"]),
    default="duckdb",
    show_default=True,
    help="Whose SQL. PostgreSQL and Spark understand those of cost and usage, DuckDB all.",
)
@click.option(
    "--dataset",
    metavar="NAME",
    help="The schema that the tables are in.  [default: chat, and marts for the views; else NAME_marts]",
)
def views(dialect: str, dataset: str | None) -> None:
    """Print the statements that make the views over tables that are there: in Spark over Delta tables, in MotherDuck
    over those that a sync has shipped.

    \b
    Examples:
      stored-completions views --dialect spark > views.sql && spark-sql -f views.sql
      stored-completions views --dialect postgres --dataset mine | psql
    """
    from stored_completions import portable
    from stored_completions.destinations.kinds import named

    target = named("duckdb", dataset)
    with until_closed():
        for statement in portable.statements(dialect, target.schemas):
            click.echo(f"{statement};\n")
