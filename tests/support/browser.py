"""Chromium, where it is installed, as a judge of how a page is laid out."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Each width is an iframe, so that one start of the browser measures all.
HARNESS = """<!doctype html><meta charset="utf-8"><body>{frames}<pre id="found"></pre><script>
addEventListener("load", () => {{
  const found = [...document.querySelectorAll("iframe")].map(frame => {{
    const page = frame.contentDocument, width = page.documentElement.clientWidth;
    const all = [...page.querySelectorAll("body *")];
    const scrolls = e => e.scrollWidth > e.clientWidth + 1 &&
      /auto|scroll/.test(frame.contentWindow.getComputedStyle(e).overflowX);
    return {{
      width: Number(frame.width),
      scrolls: page.documentElement.scrollWidth > width || all.some(scrolls),
      outside: all.filter(e => !e.closest("svg") && e.getBoundingClientRect().right > width + 1).length,
      plots: [...page.querySelectorAll("td svg.plot")].map(e => Math.round(e.getBoundingClientRect().width)),
      letters: [...page.querySelectorAll("svg text")].map(e => Math.round(e.getBoundingClientRect().height)),
      hidden: [...page.querySelectorAll("details p, details td, details dd")]
        .filter(e => !e.checkVisibility({{contentVisibilityAuto: true}})).length,
    }};
  }});
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script></body>"""


def browser() -> str | None:
    """The path of the browser; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def layouts(program: str, pages: list[tuple[int, str]], folder: Path) -> list[dict[str, object]]:
    """How each page is laid out at a width in pixels: what scrolls, lies outside, or is hidden.

    folder: for the files of the browser.
    """
    frames = "".join(
        f'<iframe width="{width}" height="900" style="border:0" srcdoc="{html.escape(text)}"></iframe>'
        for width, text in pages
    )
    harness = folder / "harness.html"
    harness.write_text(HARNESS.format(frames=frames), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [program, *options, "--virtual-time-budget=10000", "--dump-dom", harness.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = done.stdout.rpartition('<pre id="found">')[2].partition("</pre>")[0]
    laid_out: list[dict[str, object]] = json.loads(html.unescape(found))
    return laid_out
