"""The colours of page.css, reckoned: seen against the page, and told apart without red, green or blue cones.

Simulation: Machado, Oliveira and Fernandes 2009, severity 1. Difference: CIEDE2000 (Sharma et al. 2005).
"""

import math
import re
from itertools import combinations

import pytest

from stored_completions.dashboard import palette
from stored_completions.dashboard.render import FOLDER

Colour = tuple[float, float, float]

CONES: dict[str, tuple[Colour, Colour, Colour]] = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "no green": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "no blue": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
MODELS = [f"model-{place}" for place in range(1, palette.MODELS_AT_MOST + 1)] + ["rest"]
SOLID = {
    "models": MODELS,
    "tokens": [
        series.colour for series in palette.TOKENS if series.fill == "solid" and series.name != "cache_write"
    ],
    "bases": ["basis", "reckoned"],
}


def themes() -> dict[str, dict[str, str]]:
    css = (FOLDER / "page.css").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w+)", part)) for part in css.split("@media", 2)[:2])
    return {"light": light, "dark": light | dark}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", MODELS)
def test_each_model_stands_out_from_the_page(theme: str, name: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[name], colours["surface"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "accent"])
@pytest.mark.parametrize("ground", ["surface", "page"])
def test_text_is_readable(theme: str, name: str, ground: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[name], colours[ground]) >= 4.5


@pytest.mark.parametrize("cones", CONES)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("group", SOLID)
def test_colours_of_one_chart_are_told_apart(group: str, theme: str, cones: str) -> None:
    colours = themes()[theme]
    seen = {name: lab(simulated(linear(colours[name]), CONES[cones])) for name in SOLID[group]}
    distances = {pair: difference(seen[pair[0]], seen[pair[1]]) for pair in combinations(seen, 2)}
    assert {pair: round(distance, 1) for pair, distance in distances.items() if distance < 10} == {}


def test_the_difference_is_that_of_the_standard() -> None:
    assert difference((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485)) == pytest.approx(2.0425, abs=1e-4)
    assert difference((50.0, 2.5, 0.0), (73.0, 25.0, -18.0)) == pytest.approx(27.1492, abs=1e-4)


def linear(colour: str) -> Colour:
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return tuple(
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)
    )  # type: ignore[return-value]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(linear(one)), luminance(linear(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Colour) -> float:
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def simulated(colour: Colour, cones: tuple[Colour, Colour, Colour]) -> Colour:
    red, green, blue = (
        min(1.0, max(0.0, sum(factor * part for factor, part in zip(row, colour, strict=True))))
        for row in cones
    )
    return red, green, blue


def lab(colour: Colour) -> Colour:
    rows = (
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    )
    white = (0.95047, 1.0, 1.08883)
    x, y, z = (
        sum(factor * part for factor, part in zip(row, colour, strict=True)) / whole
        for row, whole in zip(rows, white, strict=True)
    )
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one: Colour, other: Colour) -> float:
    mean = (math.hypot(*one[1:]) + math.hypot(*other[1:])) / 2
    stretch = 1.5 - 0.5 * math.sqrt(mean**7 / (mean**7 + 25**7))
    (c1, h1), (c2, h2) = (
        (math.hypot(a * stretch, b), math.degrees(math.atan2(b, a * stretch)) % 360)
        for _, a, b in (one, other)
    )
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    hue = h1 + h2 if c1 * c2 == 0 else (h1 + turn / 2) % 360
    light, chroma = (one[0] + other[0]) / 2, (c1 + c2) / 2
    weight = 1 + sum(
        factor * math.cos(math.radians(times * hue - shift))
        for factor, times, shift in ((-0.17, 1, 30), (0.24, 2, 0), (0.32, 3, -6), (-0.2, 4, 63))
    )
    by_light = (other[0] - one[0]) / (1 + 0.015 * (light - 50) ** 2 / math.sqrt(20 + (light - 50) ** 2))
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2)) / (1 + 0.015 * chroma * weight)
    bend = 60 * math.exp(-(((hue - 275) / 25) ** 2))
    twist = -2 * math.sqrt(chroma**7 / (chroma**7 + 25**7)) * math.sin(math.radians(bend))
    return math.sqrt(by_light**2 + by_chroma**2 + by_hue**2 + twist * by_chroma * by_hue)
