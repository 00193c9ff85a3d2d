"""One file with everything in it: template, styles, script and library, under a policy that lets nothing else run.

The policy (CSP) allows by hash exactly the style sheet and the two scripts that are written here: no other
script or style, no event handler in an attribute, no request anywhere, and no markup made from text.
"""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stored_completions.dashboard.page import Page

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "vendor" / "chart.js"


def html(page: Page) -> str:
    """The page as one HTML document."""
    styles, scripts = _text("page.css"), (_library(), _text("page.js"))
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        page=page,
        charts=[block.chart for block in page.blocks if block.chart],
        policy=policy(styles, scripts),
        styles=Markup(styles),  # ours, as files of the package
        scripts=[Markup(script) for script in scripts],
    )


def policy(styles: str, scripts: tuple[str, ...]) -> str:
    """The Content-Security-Policy of a page with these and no others."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {_hash(styles)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(name: str) -> str:
    return "\n" + (FOLDER / name).read_text(encoding="utf-8")


def _library() -> str:
    """The library under its licence, without the address of a source map that is not here."""
    licence = (LIBRARY / "LICENSE.md").read_text(encoding="utf-8").strip()
    code = (LIBRARY / "chart.umd.min.js").read_text(encoding="utf-8")
    return f"\n/*\n{licence}\n*/\n{code.partition('//# sourceMappingURL=')[0]}"
