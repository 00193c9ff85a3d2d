"""What the commands share: their options, and how an error becomes a sentence and an exit code."""

import difflib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from stored_completions.errors import StoredCompletionsError

Command = Callable[..., Any]


class Commands(click.Group):
    """Turns our errors into sentences on stderr and their exit codes; lists commands in their order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            close = difflib.get_close_matches(args[0], self.commands, 1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(self.commands)}."
            raise click.UsageError(f"There is no command {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with until_closed():
            return super().make_context(*args, **more)
        raise click.exceptions.Exit(0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with until_closed():
                return super().invoke(ctx)
        except StoredCompletionsError as error:
            click.echo(f"stored-completions: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(130)
        except OSError as error:
            _drop_output()
            where = f": {error.filename}" if error.filename else ""
            click.echo(f"stored-completions: {error.strerror or error}{where}.", err=True)
            ctx.exit(1)


@contextmanager
def until_closed() -> Iterator[None]:
    """Ends what is printed here, and no more, when the reader has seen enough, as in `| head -1`.

    rich and click make an exit code of 1 of it; where a command has a verdict, that is to count instead.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    except SystemExit as ending:
        if not isinstance(ending.__context__, BrokenPipeError):
            raise
        _drop_output()


def _drop_output() -> None:
    """Lets go of what could not be written, which Python would try again, and complain, at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _named(_: click.Context, __: click.Parameter, path: Path) -> Path:
    if not path.name:
        raise click.BadParameter("it is empty, and must name a file.")
    return path


def warehouse_option(command: Command) -> Command:
    return click.option(
        "--warehouse",
        callback=_named,
        type=click.Path(dir_okay=False, path_type=Path),
        default="stored_completions.duckdb",
        envvar="STORED_COMPLETIONS_WAREHOUSE",
        show_default=True,
        show_envvar=True,
        metavar="PATH",
        help="The DuckDB file that analysts open.",
    )(command)


def destination_option(command: Command) -> Command:
    return click.option(
        "--destination",
        metavar="NAME",
        help="Where the warehouse is kept as well, by dlt's name: postgres, ducklake, filesystem, snowflake ... Its "
        "settings are dlt's.  [default: duckdb, the file alone]",
    )(command)


def source_options(command: Command) -> Command:
    """Where to read from. There is no flag for the key: it would stand in every list of processes."""
    options = (
        click.option("--base-url", metavar="URL", help="Where the API is.  [default: OpenAI's]"),
        click.option(
            "--api-version", metavar="VERSION", help="Azure's api-version, e.g. preview.  [default: none]"
        ),
        click.option(
            "--source",
            metavar="NAME",
            help="Name of the account that is read, one for each base URL and project.  [default: default]",
        ),
        click.option(
            "--model",
            metavar="MODEL",
            help="Only completions of this model, e.g. gpt-4o-mini-2024-07-18.  [default: all]",
        ),
        click.option(
            "--metadata",
            multiple=True,
            metavar="KEY=VALUE",
            help="Only completions with this pair; repeat it for several, all must match.  [default: all]",
        ),
        click.option(
            "--lookback",
            metavar="TIME",
            help="How late a completion may appear and still be found, e.g. 30m or 1d.  [default: 1h]",
        ),
        click.option(
            "--page-size",
            type=click.IntRange(min=1),
            metavar="N",
            help="Completions asked for per request.  [default: 100]",
        ),
        click.option(
            "--insecure-http",
            is_flag=True,
            default=None,
            help="Allow plain http to another machine; the key is then readable on the way.  [default: no]",
        ),
    )
    return with_options(options, command)


def billing_options(command: Command) -> Command:
    """Whether the organization's bill is read too. There is no flag for the admin key either."""
    options = (
        click.option(
            "--billing",
            is_flag=True,
            default=None,
            help="Read the organization's usage and costs too, with OPENAI_ADMIN_KEY.  [default: no]",
        ),
        click.option(
            "--billing-since",
            metavar="DAY",
            help="First UTC day of the bill to read, e.g. 2026-01-31.  [default: the oldest stored completion's]",
        ),
    )
    return with_options(options, command)


def content_options(command: Command) -> Command:
    """What is kept of content."""
    options = (
        click.option(
            "--content",
            multiple=True,
            metavar="LEVEL|GROUP=LEVEL",
            help="What to store of content: keep, hash (needs the setting content_key) or drop. For all, or for one "
            "group of answers, tool_arguments, messages, tokens, metadata; repeatable.  [default: keep]",
        ),
        click.option(
            "--logprobs",
            type=click.Choice(["all", "tokens", "none"]),
            help="Which log probabilities to store; tokens: without the alternatives.  [default: all]",
        ),
        click.option(
            "--change-policy",
            is_flag=True,
            help="Store more of content from now on than the warehouse's recorded policy says.",
        ),
    )
    return with_options(options, command)


def with_options(options: Iterable[Callable[[Command], Command]], command: Command) -> Command:
    """The command with these options, which help lists in their order."""
    for option in reversed(tuple(options)):
        command = option(command)
    return command


def say(sentence: str) -> None:
    """A sentence to people, beside the results."""
    click.echo(sentence, err=True)
