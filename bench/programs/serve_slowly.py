"""Serves an account that went from one model to the next, each page after some seconds: serve_slowly.py COMPLETIONS SECONDS"""

import sys

from stored_completions.sandbox import Account
from stored_completions.sandbox.serve import serve

NOW = 1_795_176_000
MODELS = ("gpt-4o-2024-08-06", "gpt-4.1-2025-04-14", "gpt-5-2025-08-07")


def main(completions: str, seconds: str) -> None:
    account, number = Account(), int(completions)
    invented = Account.generate(number, until=NOW - 60, logprob_share=0.0).completions()
    for at, completion in enumerate(sorted(invented, key=lambda each: each["created"])):
        account.add(completion | {"model": MODELS[at * len(MODELS) // number]})
    serve(account, now=NOW, latency=float(seconds), announce=lambda url: print(url, flush=True))  # noqa: T201


main(*sys.argv[1:])
