"""`sandbox`: a local API to try things against."""

import sys
import time
from typing import Any

import click

from stored_completions.commands.options import Command, with_options


def _options(command: Command) -> Command:
    """What the invented account is like, and how it is served."""
    options = (
        click.option(
            "--port",
            default=8080,
            show_default=True,
            type=click.IntRange(0, 65535),
            metavar="N",
            help="Port on 127.0.0.1; 0 takes a free one.",
        ),
        click.option(
            "--completions",
            default=2_000,
            show_default=True,
            type=click.IntRange(min=0),
            metavar="N",
            help="Size of the account.",
        ),
        click.option(
            "--seed",
            default=0,
            show_default=True,
            metavar="N",
            help="The same seed gives the same account.",
        ),
        click.option(
            "--per-second",
            type=click.IntRange(min=1),
            metavar="N",
            help="Exactly so many completions in each second.  [default: 45 days of office hours]",
        ),
        click.option(
            "--logprob-share",
            default=0.05,
            show_default=True,
            type=click.FloatRange(0, 1),
            metavar="SHARE",
            help="Share of completions with logprobs, 0 to 1.",
        ),
        click.option(
            "--tokens",
            type=click.IntRange(min=1),
            metavar="N",
            help="Tokens of each answer with logprobs.  [default: as its text gives]",
        ),
        click.option(
            "--top-logprobs",
            type=click.IntRange(0, 20),
            metavar="N",
            help="Alternatives at each token, 0 to 20.  [default: 0, 2, 5 or 20]",
        ),
        click.option(
            "--ndjson",
            type=click.Path(exists=True, dir_okay=False),
            metavar="PATH",
            help="Serve the completions of this file, one a line (.gz too), in place of invented ones.  [default: none]",
        ),
        click.option(
            "--max-limit",
            type=click.IntRange(min=1),
            metavar="N",
            help="Largest page that is served.  [default: any]",
        ),
        click.option(
            "--latency",
            default=0.0,
            show_default=True,
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="Seconds before each answer.",
        ),
        click.option(
            "--now",
            type=int,
            metavar="SECOND",
            help="Stop the clock at this unix second.  [default: the real time]",
        ),
        click.option("--verbose", is_flag=True, help="Log each request to stderr.  [default: no]"),
    )
    return with_options(options, command)


@click.command(short_help="Serve a local API to try things against.")
@_options
def sandbox(
    port: int, verbose: bool, now: int | None, max_limit: int | None, latency: float, **made: Any
) -> None:
    """Serve a local API with invented completions, to try things against. Ctrl-C ends it.

    The base URL is printed on stdout once it answers; any API key is accepted. It behaves like the live service:
    newest first by default, an `after` that counts whole seconds, rows of one second in changing order, real error
    answers. While it runs, its clock can be moved, faults ordered, and what was asked looked at:

    \b
      curl -X POST http://127.0.0.1:8080/sandbox/clock -d '{"advance": 3600}'
      curl -X POST http://127.0.0.1:8080/sandbox/faults -d '[{"fault": "status", "status": 500}]'
      curl http://127.0.0.1:8080/sandbox/status

    \b
    A fault spoils one request, or one whose path contains its "path":
      status (status, body, headers)  any answer of that status
      rate_limited (retry_after, retry_after_ms, retry_at)  a 429
      quota                           the 429 that no waiting mends
      cut (keep), reset (keep)        ends after a share of the body
      close                           ends without an answer
      html (status)                   a page, as from a proxy
      not_json, not_a_list            a 200 that is something else
      slow (seconds)                  the API's answer, late
      redirect (location, status)     to somewhere else
      none                            the API's answer, untouched

    \b
    Example, in another terminal:
      export OPENAI_API_KEY=sk-sandbox OPENAI_BASE_URL=http://127.0.0.1:8080/v1
      stored-completions sync --warehouse sandbox.duckdb
    """
    from stored_completions.errors import StoredCompletionsError
    from stored_completions.sandbox.serve import serve

    account = _account(now, **made)

    def announce(base_url: str) -> None:
        click.echo(base_url)
        sys.stdout.flush()
        click.echo(
            f"{len(account):,} completions. In another terminal:\n"
            f"  export OPENAI_API_KEY=sk-sandbox OPENAI_BASE_URL={base_url}\n"
            f"  stored-completions sync --warehouse sandbox.duckdb\n"
            f"Ctrl-C ends it.",
            err=True,
        )

    try:
        serve(
            account,
            port=port,
            announce=announce,
            now=now,
            verbose=verbose,
            max_limit=max_limit,
            latency=latency,
        )
    except OSError as error:
        raise StoredCompletionsError(
            f"Port {port} cannot be used ({error.strerror}): name another with --port, or take a free one with --port 0."
        ) from None


def _account(now: int | None, *, ndjson: str | None, completions: int, **kinds: Any) -> Any:
    from stored_completions.errors import UsageError
    from stored_completions.sandbox import Account

    if ndjson is None:
        return Account.generate(completions, until=(now or int(time.time())) - 60, **kinds)
    try:
        return Account.from_ndjson(ndjson)
    except (ValueError, EOFError, OSError) as error:
        raise UsageError(f"{ndjson} is no file of completions, one JSON object a line: {error}.") from None
