"""Generates an account, saves it as NDJSON, serves it and says where; SIGTERM ends it.

    python serve.py FILE COMPLETIONS '{"logprob_share": 1.0, ...}'

The clock stands still, so that every run of every contender sees the same account at the same time.
"""

import json
import sys
from pathlib import Path

from stored_completions.sandbox import Account
from stored_completions.sandbox.serve import serve

NOW = 1_795_176_000


def main(file: str, completions: str, shape: str) -> None:
    account = Account.generate(int(completions), until=NOW - 60, **json.loads(shape))
    with Path(file).open("wb") as output:
        output.writelines(row.body + b"\n" for row in account.rows().rows)
    serve(account, now=NOW, announce=lambda base_url: print(base_url, flush=True))  # noqa: T201


main(*sys.argv[1:])
