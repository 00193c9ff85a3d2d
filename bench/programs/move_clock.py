"""Moves the clock of a sandbox an hour on from where all of its completions show. BASE_URL."""

import json
import sys
from urllib.request import ProxyHandler, build_opener

LATE = 1_795_176_000 + 3600

url = sys.argv[1].removesuffix("/v1") + "/sandbox/clock"
build_opener(ProxyHandler({})).open(url, json.dumps({"now": LATE}).encode()).close()
