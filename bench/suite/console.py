"""How quick the console is with a million documents, beside the same page with a hundred in the same run.

Documents are written over gRPC as an application writes them; the page runs in a headless Chromium and is driven by
keys. A list of any length should cost what a short one costs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import grpc

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite
from bench.measuring import Figure, percentile, show, takes_no_options
from bench.suite.firestore import A_COMMIT, PREFIX, commit_request, document
from tests.browser.chromium import Chromium, why_no_browser
from tests.browser.page import Browser, Page, PageServer

MANY, FEW = 1_000_000, 100
PRESSES = 30
# Answers with the milliseconds that it took until the condition held; looks at each frame.
UNTIL = """async (key, condition) => {
  const holds = new Function(`return ${condition}`);
  const started = performance.now();
  const list = document.querySelector('virtual-list[aria-label^="Documents"]');
  if (key) list.dispatchEvent(new KeyboardEvent("keydown", { key }));
  while (!holds()) await new Promise((resume) => requestAnimationFrame(resume));
  return performance.now() - started;
}"""
LIST = """document.querySelector('virtual-list[aria-label^="Documents"]')"""
ROWS = f"{LIST}?.querySelector('.item')?.textContent.startsWith('d')"
SELECTED = f"{LIST}?.querySelector('[aria-selected=true]')?.textContent"


def main() -> None:
    missing = why_no_browser()
    if missing is not None:
        sys.exit(missing)
    with tempfile.TemporaryDirectory() as folder:
        configuration = Configuration(root=Path(folder), project_id="demo-bench")
        with BackgroundSuite(Suite(configuration, only=("firestore",), free_ports=True, console=True)) as running:
            taken = {count: fill(running, f"of{count}", count) for count in (FEW, MANY)}
            chromium, pages = Chromium(), PageServer()
            try:
                few, many = (looked_at(Browser(chromium, pages), running, count) for count in (FEW, MANY))
            finally:
                chromium.close()
                pages.close()
    figures = [Figure(name, many[name], unit, floor=few[name]) for name, unit in UNITS.items()]
    figures.append(Figure("writing the documents", taken[MANY], "s"))
    show(f"The console's Firestore page with {MANY:,} documents (floors: with {FEW})", figures)


UNITS = {
    "opened until rows are in sight": "ms",
    "End until the last row is chosen": "ms",
    "jump between the ends, median": "ms",
    "elements of the page": "",
    "JavaScript heap": "MB",
}


def fill(running: BackgroundSuite, collection: str, count: int) -> float:
    started = time.perf_counter()
    with grpc.insecure_channel(running.address("firestore")) as channel:
        commit = channel.unary_unary(PREFIX + "Commit")
        for first in range(0, count, A_COMMIT):
            numbers = range(first, min(first + A_COMMIT, count))
            commit(commit_request(*(document(f"{collection}/d{n:07}", n=n, text="a few words") for n in numbers)))
    return time.perf_counter() - started


def looked_at(browser: Browser, running: BackgroundSuite, count: int) -> dict[str, float]:
    page = browser.open(url=f"http://{running.address('ui')}/")
    page.command("Performance.enable")
    page.run("(place) => { location.hash = place; }", f"firestore/(default)/of{count}")
    opened = page.run(UNTIL, "", ROWS)
    ended = page.run(UNTIL, "End", f"{SELECTED}?.startsWith('d{count - 1:07}')")
    jumps = []
    for press in range(PRESSES):
        key, number = ("Home", 0) if press % 2 == 0 else ("End", count - 1)
        jumps.append(page.run(UNTIL, key, f"{SELECTED}?.startsWith('d{number:07}')"))
    metrics = {each["name"]: each["value"] for each in page.command("Performance.getMetrics")["metrics"]}
    heap = metrics["JSHeapUsedSize"] / 1e6
    return dict(zip(UNITS, (opened, ended, percentile(jumps, 0.5), elements(page), heap), strict=True))


def elements(page: Page) -> float:
    return float(page.run("() => document.querySelectorAll('*').length"))


if __name__ == "__main__":
    takes_no_options(__doc__)
    main()
