"""Log probabilities of text, as JSON that is put together from prepared pieces."""

import re
from math import log
from random import Random
from zlib import crc32

import msgspec

_PIECES = re.compile(r"\s?\w+|\s?[^\w\s]|\s+")
_VARIANTS = 32
_OUTSIDE_TOP = -9999.0


class Tokens:
    """Cuts sentences into tokens and weighs them; the same text and number give the same weights."""

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        self._cut: dict[str, list[bytes]] = {}
        self._entries: dict[tuple[bytes, int, int], bytes] = {}
        words = {token for sentence in vocabulary for token in self.cut(sentence)}
        self._words = sorted(words)

    def cut(self, sentence: str) -> list[bytes]:
        """The tokens of a sentence; together they are its UTF-8, one by one they need not be."""
        if sentence not in self._cut:
            self._cut[sentence] = [
                token for piece in _PIECES.findall(sentence) for token in _halves(piece.encode())
            ]
        return self._cut[sentence]

    def logprobs(self, tokens: list[bytes], top: int, number: int) -> bytes:
        """The JSON list of the tokens' log probabilities, each with `top` alternatives."""
        return b"[%b]" % b",".join(
            [self._entry(token, top, (number + place * 7) % _VARIANTS) for place, token in enumerate(tokens)]
        )

    def _entry(self, token: bytes, top: int, variant: int) -> bytes:
        key = (token, top, variant)
        if key not in self._entries:
            self._entries[key] = msgspec.json.encode(self._weighed(token, top, variant))
        return self._entries[key]

    def _weighed(self, token: bytes, top: int, variant: int) -> dict[str, object]:
        """Mostly the likeliest token, now and then the second, rarely one outside the alternatives."""
        dice = Random(crc32(token) * _VARIANTS + variant)
        others = [word for word in dice.sample(self._words, top + 1) if word != token]
        falling = _falling(dice, max(top, 1))
        place = 1 if variant % 11 == 5 and top > 1 else 0
        if variant == 0 and top and crc32(token) % 8 == 0:
            listed = [_said(word, weight) for word, weight in zip(others, falling, strict=False)]
            return {**_said(token, _OUTSIDE_TOP), "top_logprobs": listed[:top]}
        words = [*others[:place], token, *others[place:]]
        listed = [_said(word, weight) for word, weight in zip(words, falling, strict=False)]
        return {**listed[place], "top_logprobs": listed[:top]}


def _falling(dice: Random, count: int) -> list[float]:
    """`count` log probabilities from the likeliest down; the probabilities stay below one together."""
    likely = 1 - 0.7 * dice.random() ** 4 - 1e-6
    left, weights = 1 - likely, [likely]
    for _ in range(count - 1):
        weights.append(min(weights[-1], left * (0.3 + 0.5 * dice.random())))
        left -= weights[-1]
    return [round(log(weight), 6) for weight in weights]


def _said(token: bytes, logprob: float) -> dict[str, object]:
    return {"token": _shown(token), "logprob": logprob, "bytes": list(token)}


def _shown(token: bytes) -> str:
    """As the API shows it: part of a character by its bytes."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in token)


def _halves(piece: bytes) -> list[bytes]:
    """Emoji come in two tokens, neither of them a character."""
    at = max(piece.find(b"\xf0"), piece.find(b"\xe2\x9c"))
    return [piece] if at < 0 else [half for half in (piece[: at + 2], piece[at + 2 :]) if half]
