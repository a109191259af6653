"""A user opens a template, runs it, sees the clip play in the node, and gets the graph back from the file."""

import pytest

from support.e2e import runs

NAMES = sorted(path.stem for path in runs.API.glob("*.json"))
TYPES = {".mp4": "video/mp4", ".webp": "image/webp"}
PLAYS = (
    "() => [...document.querySelectorAll('video')].some((v) => v.videoWidth === 32 && v.currentTime > 0 && !v.error)"
)
SHOWN = "() => [...document.querySelectorAll('img')].some((i) => i.src.includes('/view') && i.naturalWidth === 32)"


def see_video(page):
    """The frontend shows the first frame and plays on a click."""
    page.locator("video").first.click(timeout=60_000)
    page.wait_for_function(PLAYS, timeout=60_000)


def see_animation(page):
    page.wait_for_function(SHOWN, timeout=60_000)


@pytest.mark.parametrize("name", NAMES)
def test_template_opens_and_says_the_same_as_the_api_prompt(emptied, name):
    emptied.open_template(name)
    emptied.picture(f"graph_{name}")
    assert runs.bare(emptied.prompt()) == runs.bare(runs.graph.load_prompt(runs.API / f"{name}.json"))


@pytest.mark.parametrize(("name", "see_preview"), [("text_to_video", see_video), ("long_loop", see_animation)])
def test_run_preview_and_drop_back(frontend, name, see_preview):
    frontend.open_template(name)
    frontend.shrink(width=32, height=32, steps=1)
    sent = frontend.prompt()
    entry = frontend.run()
    assert entry["status"]["status_str"] == "success"
    see_preview(frontend.page)
    frontend.picture(f"preview_{name}")

    file = runs.video_file(sent, entry["outputs"])
    data = frontend.client.view(file)
    frontend.page.evaluate("() => app.graph.clear()")
    assert frontend.prompt() == {}
    suffix = file["filename"][file["filename"].rindex(".") :]
    frontend.drop(data, file["filename"], TYPES[suffix])
    frontend.page.wait_for_function("() => app.graph.nodes.length > 0", timeout=60_000)
    frontend.page.wait_for_timeout(1000)  # for the picture: the tab fades in
    frontend.picture(f"dropped_{name}")
    assert runs.bare(frontend.prompt()) == runs.bare(sent)
