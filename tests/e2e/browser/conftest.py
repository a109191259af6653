"""The real frontend in a real Chromium, named by CHROME or found on the machine."""

import base64
from contextlib import suppress

import pytest
from comfy_host.browser import find_browser
from comfy_host.client import Client

from support.e2e import runs
from support.pack import ROOT

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PICTURES = ROOT / "artefacts" / "browser"
# The default graph is loaded last: a template opened before would be replaced by it.
READY = """() => window.app && window.app.graph && window.app.extensionManager && app.graph.nodes.length > 0
  && !document.querySelector('#splash-loader')"""
OPENED = "() => app.graph.nodes.some((node) => node.type.startsWith('Zoetrope'))"
DROP = """([data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  const canvas = document.querySelector('#graph-canvas');
  for (const kind of ['dragenter', 'dragover', 'drop'])
    canvas.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true,
                                              clientX: 40, clientY: 400}));
}"""
SET_SMALL = """(values) => {
  for (const node of app.graph.nodes)
    for (const widget of node.widgets ?? [])
      if (widget.name in values) widget.value = values[widget.name];
}"""


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = find_browser()
    assert path, "no Chrome or Chromium: install one or name it in CHROME"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


class Frontend:
    """One tab with the editor, and what a user does in it."""

    def __init__(self, page, client: Client):
        self.page = page
        self.client = client

    def open(self) -> None:
        # A fresh user gets a welcome screen instead of the editor.
        self.client.json("/settings", {"Comfy.TutorialCompleted": True})
        self.page.goto(self.client.url)
        self.page.wait_for_function(READY, timeout=120_000)

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(PICTURES / f"{name}.png"))

    def open_template(self, name: str) -> None:
        """Through the template browser, as a user does."""
        self.page.get_by_text("Templates", exact=True).first.click()
        self.page.get_by_text("zoetrope", exact=True).first.click()
        card = self.page.locator(f"[data-testid=template-workflow-{name}]")
        runs.wait_for(lambda: self._scrolled_to(card))
        self.picture(f"templates_{name}")
        # The list is drawn anew while pictures come in, and a click on what is being replaced is lost.
        runs.wait_for(lambda: self._opens(card))

    def _scrolled_to(self, card) -> bool:
        """The list shows 24 cards, and more when its end is seen."""
        cards = self.page.locator("[data-testid^=template-workflow-]")
        if not card.is_visible() and cards.count():
            cards.last.scroll_into_view_if_needed()
        return card.is_visible()

    def _opens(self, card) -> bool:
        from playwright.sync_api import TimeoutError as TooLongError

        if card.is_visible():
            card.click()
        with suppress(TooLongError):
            self.page.wait_for_function(OPENED, timeout=10_000)
            return True
        return False

    def prompt(self) -> dict:
        """What Run would send."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def shrink(self, **values) -> None:
        """Set widgets by name on every node."""
        self.page.evaluate(SET_SMALL, values)

    def run(self) -> dict:
        """Press Run and wait for the finished entry of the history."""
        before = set(self.client.json("/history"))
        self.page.locator("[data-testid=queue-button]").first.click()
        finished = runs.wait_for(lambda: set(self.client.json("/history")) - before, seconds=600)
        return self.client.history(finished.pop())

    def drop(self, data: bytes, name: str, kind: str) -> None:
        """Drop a file on the canvas."""
        self.page.evaluate(DROP, [base64.b64encode(data).decode(), name, kind])


def new_tab(browser, url):
    """An editor in a tab of its own, as long as it is used."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    editor = Frontend(page, Client(url))
    editor.open()
    yield editor
    page.close()


@pytest.fixture
def frontend(browser, running):
    yield from new_tab(browser, running.url)


@pytest.fixture(scope="module")
def shared_tab(browser, running):
    yield from new_tab(browser, running.url)


@pytest.fixture
def emptied(shared_tab):
    """One tab for many tests, which starts without a graph: opening the editor anew takes longer than a template."""
    shared_tab.page.keyboard.press("Escape")  # what a test that failed left open
    shared_tab.page.evaluate("() => app.graph.clear()")
    assert shared_tab.prompt() == {}
    return shared_tab
