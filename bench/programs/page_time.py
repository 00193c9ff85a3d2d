"""Prints the mean seconds that the server takes for a page of 100, as it says itself: page_time.py BASE_URL"""

import sys
from statistics import mean

import httpx

_PAGES = 20


def main(base_url: str) -> None:
    seconds: list[float] = []
    after: dict[str, str] = {}
    with httpx.Client(headers={"Authorization": "Bearer sk-sandbox"}, trust_env=False) as client:
        for _ in range(_PAGES):
            query = {"limit": "100", "order": "asc", **after}
            answer = client.get(f"{base_url}/chat/completions", params=query)
            seconds.append(int(answer.headers["openai-processing-ms"]) / 1000)
            after = {"after": answer.json()["last_id"]}
            if not answer.json()["has_more"]:
                break
    print(mean(seconds))  # noqa: T201


main(*sys.argv[1:])
