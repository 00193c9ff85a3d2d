"""The page in Chromium: drawn, quiet, sealed, readable by keyboard, on phones, on paper, light and dark."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route

from paged import HOSTILE, account, page

LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 780}},
    "dark phone": {"color_scheme": "dark", "viewport": {"width": 360, "height": 780}},
}
CHARTS = ["spend-over-time", "tokens-over-time", "what-costs-rest-on"]
_LISTEN = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(`${event.effectiveDirective} ${event.blockedURI}`));
"""
_COLOURS = """
(canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = {};
    for (let at = 0; at < data.length; at += 4) {
        const name = "#" + [0, 1, 2].map((part) => data[at + part].toString(16).padStart(2, "0")).join("");
        if (data[at + 3] === 255) seen[name] = (seen[name] || 0) + 1;
    }
    return Object.keys(seen).filter((name) => seen[name] > 40);
}
"""
_WANTED = """
(names) => names.map((name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim())
"""


class Noise:
    """What a page said, asked for and was refused."""

    def __init__(self, shown: Page) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self.finished: list[str] = []
        self._shown = shown
        shown.on("console", lambda message: self._hear(message.text))
        shown.on("pageerror", lambda error: self.console.append(str(error)))
        shown.on("dialog", lambda dialog: self.console.append(dialog.message))
        shown.on("request", lambda request: self.requests.append(request.url))
        shown.on("requestfinished", lambda request: self.finished.append(request.url))

    def _hear(self, text: str) -> None:
        if "willReadFrequently" not in text:  # these tests read the canvas, the page does not
            self.console.append(text)

    def all(self) -> list[str]:
        return [*self.console, *self.requests[1:], *self._shown.evaluate("violations")]


@contextmanager
def opened(browser: Browser, file: Path, look: str = "light") -> Iterator[tuple[Page, Noise]]:
    context = browser.new_context(**LOOKS[look])  # type: ignore[arg-type]
    context.add_init_script(_LISTEN)
    shown = context.new_page()
    noise = Noise(shown)
    shown.goto(file.as_uri())
    yield shown, noise
    context.close()


def drawn(shown: Page, chart: str) -> set[str]:
    return set(shown.evaluate(f"({_COLOURS})(document.getElementById('{chart}-canvas'))"))


@pytest.mark.parametrize("look", LOOKS)
def test_charts_are_drawn_in_the_colours_of_the_style_sheet(browser: Browser, file: Path, look: str) -> None:
    with opened(browser, file, look) as (shown, noise):
        for chart, names in zip(
            CHARTS, (["model-1", "model-2"], ["input", "output"], ["basis"]), strict=True
        ):
            assert set(shown.evaluate(_WANTED, names)) <= drawn(shown, chart), chart
        assert noise.all() == []


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_no_serious_accessibility_finding(browser: Browser, file: Path, look: str) -> None:
    with opened(browser, file, look) as (shown, _):
        shown.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        found = Axe().run(shown).response["violations"]
        assert [(each["id"], each["impact"], each["nodes"][0]["html"]) for each in found] == []


@pytest.mark.parametrize("look", ["phone", "dark phone"])
def test_a_phone_scrolls_down_only(browser: Browser, file: Path, look: str) -> None:
    with opened(browser, file, look) as (shown, _):
        assert shown.evaluate("document.documentElement.scrollWidth") == 360
        for chart in CHARTS:
            box = shown.locator(f"#{chart}-canvas").bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360


def test_nothing_hostile_runs(browser: Browser, file: Path) -> None:
    with opened(browser, file) as (shown, noise):
        for summary in shown.locator("summary").all():
            summary.click()
        shown.locator(".chart").first.press("ArrowRight")
        assert shown.evaluate("typeof hacked") == "undefined"
        assert shown.locator("img, iframe, object, embed, link, b").count() == 0
        assert shown.locator("script").count() == 3
        assert shown.title() == shown.locator("h1").inner_text() == 'A <b>"page"</b>'
        said = shown.locator("body").text_content() or ""
        assert all(text in said for text in HOSTILE)
        assert noise.all() == []


@pytest.mark.parametrize(
    ("attempt", "refused"),
    [
        ("fetch('https://example.com/')", "connect-src"),
        ("new Image().src = 'https://example.com/x.png'", "img-src"),
        (
            "document.body.append(Object.assign(document.createElement('script'), {text: 'hacked=1'}))",
            "trusted",
        ),
        ("document.body.innerHTML = '<img src=x onerror=hacked=1>'", "trusted"),
        (
            "document.body.append(Object.assign(document.createElement('style'), {textContent: '*{}'}))",
            "style-src",
        ),
        ("eval('hacked=1')", "trusted"),
    ],
)
def test_the_policy_would_stop_it(browser: Browser, file: Path, attempt: str, refused: str) -> None:
    with opened(browser, file) as (shown, noise):
        shown.evaluate(f"() => {{ setTimeout(() => {{ {attempt} }}); }}")
        shown.wait_for_function("violations.length > 0")
        assert refused in shown.evaluate("violations[0]")
        assert shown.evaluate("typeof hacked") == "undefined"
        assert noise.finished == [file.as_uri()]


def test_it_is_one_request_on_a_server_too(browser: Browser, file: Path) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(body=file.read_text(encoding="utf-8"), content_type="text/html; charset=utf-8")

    context = browser.new_context()
    shown = context.new_page()
    shown.route("**/*", answer)
    shown.goto("http://dashboard.test/")
    shown.wait_for_load_state("networkidle")
    context.close()
    assert asked == ["http://dashboard.test/"]


def test_the_keyboard_reads_charts_and_opens_tables(browser: Browser, file: Path) -> None:
    with opened(browser, file) as (shown, _):
        chart = shown.locator("#spend-over-time .chart")
        chart.focus()
        shown.keyboard.press("Home")
        assert (chart.locator("[aria-live]").text_content() or "").startswith("Sun 1 Feb 2026: ")
        shown.keyboard.press("ArrowRight")
        assert (chart.locator("[aria-live]").text_content() or "").startswith("Mon 2 Feb 2026: ")
        shown.keyboard.press("Tab")
        shown.keyboard.press("Enter")
        assert shown.locator("#spend-over-time table").is_visible()
        shown.keyboard.press("Shift+Tab")
        shown.keyboard.press("Shift+Tab")
        assert shown.evaluate("document.activeElement.tagName") == "BUTTON"


def test_a_series_can_be_taken_out_by_its_button(browser: Browser, file: Path) -> None:
    with opened(browser, file) as (shown, _):
        (colour,) = shown.evaluate(_WANTED, ["model-1"])
        button = shown.locator("#spend-over-time .legend button").first
        button.focus()
        for pressed in ("false", "true"):
            shown.keyboard.press("Space")
            assert button.get_attribute("aria-pressed") == pressed
            assert (colour in drawn(shown, "spend-over-time")) == (pressed == "true")


def test_every_chart_has_title_summary_and_table(browser: Browser, file: Path) -> None:
    with opened(browser, file) as (shown, _):
        for chart in CHARTS:
            part = shown.locator(f"#{chart}")
            title, summary = part.locator("h2").inner_text(), part.locator(".summary").text_content()
            assert part.locator("canvas").get_attribute("aria-label") == f"{title}. {summary}"
            assert part.locator("details table tbody tr").count() == 28
            assert part.locator("details table").is_visible() is False


def test_it_follows_the_theme_and_prints_light(browser: Browser, file: Path, tmp_path: Path) -> None:
    with opened(browser, file) as (shown, noise):
        light = set(shown.evaluate(_WANTED, ["model-1", "model-2"]))
        shown.emulate_media(color_scheme="dark")
        dark = set(shown.evaluate(_WANTED, ["model-1", "model-2"]))
        assert dark <= drawn(shown, CHARTS[0])
        assert not light & drawn(shown, CHARTS[0])
        shown.evaluate("addEventListener('beforeprint', () => { window.printed = drawnNow(); })")
        shown.evaluate(f"window.drawnNow = () => ({_COLOURS})(document.getElementById('{CHARTS[0]}-canvas'))")
        shown.pdf(path=tmp_path / "page.pdf", format="A4")
        assert light <= set(shown.evaluate("printed"))
        assert dark <= drawn(shown, CHARTS[0])
        assert noise.all() == []


def test_figures_shown_are_those_of_the_sql(browser: Browser, file: Path) -> None:
    with account(600) as connection, opened(browser, file) as (shown, _):
        wanted = connection.execute(
            "select model, sum(cost_usd), count(*), sum(prompt_tokens), sum(completion_tokens)"
            " from marts.completions_wide where created_date between '2026-02-01' and '2026-02-28'"
            " group by model order by sum(cost_usd) desc nulls last limit 10"
        ).fetchall()
        values = "(rows) => rows.map((row) => [...row.querySelectorAll('data')].map((each) => each.value))"
        found = shown.locator("#spend-by-model tbody tr").evaluate_all(values)
        named = shown.locator("#spend-by-model tbody th").all_text_contents()
        assert [text.strip(" \n") for text in named[:10]] == [name or "(none)" for name, *_ in wanted]
        for row, (_, *sums) in zip(found, wanted, strict=False):
            assert [row[0], *row[-3:]] == [str(value) for value in sums]
        spend = shown.locator(".figures data").first
        assert re.fullmatch(r"\$[\d,]+\.\d\d(\d\d)?", spend.inner_text())


@pytest.mark.parametrize("count", [0, 1])
def test_little_or_nothing_is_a_page_too(browser: Browser, tmp_path: Path, count: int) -> None:
    file = tmp_path / "page.html"
    with account(count) as connection:
        file.write_text(page(connection), encoding="utf-8")
    with opened(browser, file, "phone") as (shown, noise):
        assert shown.locator("section").count() == 0
        assert "no completions" in shown.locator("header").inner_text()
        assert noise.all() == []
        found: list[Any] = Axe().run(shown).response["violations"]
        assert found == []
