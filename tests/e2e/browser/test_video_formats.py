"""What a user sees of each kind of file, in the classic and in the new node renderer, and the graph that a file brings back."""

import pytest

from support.e2e import runs

# What the node shows: the file itself, or a small film in its place.
FORMATS = ("h264-mp4", "vp9-webm", "webp", "apng", "gif", "prores-mov")
PROXIED = {"gif", "prores-mov"}
DROPPED = {
    "h264-mp4": "video/mp4",
    "vp9-webm": "video/webm",
    "webp": "image/webp",
    "apng": "image/png",
    "prores-mov": "video/quicktime",
}
# Every name is shown by an element that has loaded it; clips in <video> can be played and move.
SHOWN = """async (names) => {
  const found = [...document.querySelectorAll('video, img')];
  for (const name of names) {
    const shown = found.find((e) => (e.currentSrc || e.src || '').includes(encodeURIComponent(name)));
    if (!shown || !(shown.videoWidth || shown.naturalWidth)) return false;
    if (shown.tagName === 'VIDEO') { shown.muted = true; await shown.play(); if (shown.error) return false; }
  }
  return true;
}"""


def reading_and_writing(start: float) -> dict:
    """One clip in every format, without sampling.

    Args:
        start: seconds; another value makes the server read the clip again.
    """
    prompt = {
        "1": {
            "class_type": "ZoetropeLoadVideo",
            "inputs": {
                "video": "zoetrope_example.mp4",
                "frame_rate": 4.0,
                "start": start,
                "skip_frames": 0,
                "every_nth": 1,
                "max_frames": 6,
                "width": 64,
                "height": 64,
                "fit": "crop",
                "multiple_of": 8,
                "untagged_colors": "auto",
            },
        }
    }
    for number, name in enumerate(FORMATS, start=2):
        prompt[str(number)] = {
            "class_type": "ZoetropeCombineVideo",
            "inputs": {
                "frame_rate": ["1", 5],
                "format": name,
                "filename_prefix": f"formats/{name}",
                "images": ["1", 0],
                "audio": ["1", 3],
                "loop_count": 0,
                "pingpong": False,
                "quality": -1,
                "bit_depth": "8",
                "save_output": True,
                "save_workflow": True,
            },
        }
    return prompt


def open_prompt(frontend, prompt) -> None:
    """Load a prompt and bring all of it into view: previews are drawn where they can be seen."""
    frontend.page.evaluate("async (prompt) => { await app.loadApiJson(prompt, 'formats'); }", prompt)
    frontend.page.evaluate(
        """() => app.graph.nodes.forEach((node, i) => {
          node.setSize([330, 560]); node.pos = [(i % 4) * 360, Math.floor(i / 4) * 620];
        })"""
    )
    frontend.page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")


@pytest.mark.parametrize("renderer", ["classic", "new"])
def test_every_kind_of_file_is_shown_in_its_node(frontend, renderer):
    frontend.client.json("/settings", {"Comfy.VueNodes.Enabled": renderer == "new"})
    try:
        frontend.open()
        open_prompt(frontend, reading_and_writing(0.5 if renderer == "classic" else 0.25))
        entry = frontend.run()
        assert entry["status"]["status_str"] == "success"
        names = []
        for number, name in enumerate(FORMATS, start=2):
            made = entry["outputs"][str(number)]
            (file,), (shown,) = made["video"], made["images"]
            assert (file["frames"], file["fps"], file["type"]) == (6, 4.0, "output")
            assert (shown["filename"] != file["filename"]) == (name in PROXIED)
            names.append(shown["filename"])
        # The loader shows the very frames it gave: six of 4 a second.
        (loaded,) = entry["outputs"]["1"]["images"]
        frames = runs.decode(frontend.client.view(loaded), loaded["filename"])
        assert frames.shape == (6, 64, 64, 3)
        frontend.page.wait_for_function(SHOWN, arg=[*names, loaded["filename"]], timeout=60_000)
        frontend.picture(f"formats_{renderer}")
        if renderer == "classic":
            drop_each(frontend, entry)
    finally:
        frontend.client.json("/settings", {"Comfy.VueNodes.Enabled": False})


def drop_each(frontend, entry) -> None:
    """Each file that can carry the workflow opens it."""
    sent = frontend.prompt()
    for number, name in enumerate(FORMATS, start=2):
        if name not in DROPPED:
            continue
        (file,) = entry["outputs"][str(number)]["video"]
        frontend.page.evaluate("() => app.graph.clear()")
        frontend.drop(frontend.client.view(file), file["filename"], DROPPED[name])
        frontend.page.wait_for_function(f"() => app.graph.nodes.length === {len(sent)}", timeout=60_000)
        assert runs.bare(frontend.prompt()) == runs.bare(sent), name
