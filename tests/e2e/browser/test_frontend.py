"""A user opens a template, runs it, sees the clip play in the node, and gets the graph back from the file."""

import e2e_runs as runs
import pytest

NAMES = [path.stem for path in runs.PROMPTS]
TYPES = {".mp4": "video/mp4", ".webp": "image/webp"}
PLAYING = """() => [...document.querySelectorAll('video')].some(
    (v) => v.videoWidth === 64 && !v.paused && v.currentTime > 0 && !v.error)"""
SHOWN = "() => [...document.querySelectorAll('img')].some((i) => i.src.includes('/view') && i.naturalWidth === 64)"


def without_titles(prompt):
    return {key: {"class_type": node["class_type"], "inputs": node["inputs"]} for key, node in prompt.items()}


@pytest.mark.parametrize("name", NAMES)
def test_template_opens_and_says_the_same_as_the_api_prompt(frontend, name):
    frontend.open_template(name)
    frontend.picture(f"graph_{name}")
    assert without_titles(frontend.prompt()) == without_titles(runs.graph.load_prompt(runs.API / f"{name}.json"))


@pytest.mark.parametrize(("name", "preview"), [("text_to_video", PLAYING), ("long_loop", SHOWN)])
def test_run_preview_and_drop_back(frontend, name, preview):
    frontend.open_template(name)
    frontend.shrink(width=64, height=64, steps=1)
    sent = without_titles(frontend.prompt())
    entry = frontend.run()
    assert entry["status"]["status_str"] == "success"
    frontend.page.wait_for_function(preview, timeout=60_000)
    frontend.picture(f"preview_{name}")

    file = runs.video_file(sent, entry["outputs"])
    data = frontend.client.view(file)
    frontend.page.evaluate("() => app.graph.clear()")
    assert frontend.prompt() == {}
    suffix = file["filename"][file["filename"].rindex(".") :]
    frontend.drop(data, file["filename"], TYPES[suffix])
    frontend.page.wait_for_function("() => app.graph.nodes.length > 0", timeout=60_000)
    frontend.picture(f"dropped_{name}")
    assert without_titles(frontend.prompt()) == sent
