"""Generates an account, saves it as NDJSON, serves it and says where; SIGTERM ends it.

    python serve.py FILE COMPLETIONS '{"shape": {"logprob_share": 1.0}, "later": 100, "latency": 0.3}'

The clock stands still, so that every run of every contender sees the same account at the same time.
The newest `later` completions show only once it is moved. `corpus` is a folder of recorded ones to serve instead;
`words` makes every answer so many words long.
"""

import gzip
import json
import sys
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

from stored_completions.sandbox import Account
from stored_completions.sandbox.serve import serve

NOW = 1_795_176_000
PER_SECOND = 7
VOCABULARY = 5_000


def recorded(folder: Path) -> Account:
    """Every recorded completion under an id of its own, several a second."""
    account = Account()
    number = 0
    for name in ("recorded.ndjson.gz", "assembled_logprobs.ndjson.gz"):
        with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                created = 1_700_000_000 + number // PER_SECOND
                account.add(json.loads(line)["body"] | {"id": f"recorded-{number}", "created": created})
                number += 1
    return account


def with_long_answers(short: Account, words: int) -> Account:
    """The same completions with answers of so many invented words, 6.5 letters each with the space after it."""
    dice, account = Random(1), Account()
    vocabulary = ["".join(dice.choices(ascii_lowercase, k=dice.randint(2, 9))) for _ in range(VOCABULARY)]
    for row in short.rows().rows:
        completion = json.loads(row.body)
        for choice in completion["choices"]:
            choice["message"]["content"] = " ".join(dice.choices(vocabulary, k=words))
        account.add(completion)
    return account


def main(file: str, completions: str, recipe: str) -> None:
    told: dict[str, Any] = json.loads(recipe)
    if "corpus" in told:
        account = recorded(Path(told["corpus"]))
    else:
        account = Account.generate(int(completions), until=NOW - 60, **told["shape"])
    if "words" in told:
        account = with_long_answers(account, told["words"])
    rows, now = account.rows().rows, NOW
    if told.get("later"):
        later = rows[-told["later"] :]
        now = later[0].second - 1
        for row in later:
            row.visible_at = NOW
    with Path(file).open("wb") as output:
        output.writelines(row.body + b"\n" for row in rows)
    announce = lambda base_url: print(base_url, flush=True)  # noqa: E731, T201
    serve(account, now=now, announce=announce, latency=told.get("latency", 0.0))


main(*sys.argv[1:])
