"""Makes workflows/*.json (what the editor opens) from workflows/api/*.json (what is written by hand).

    python scripts/in_host.py scripts/export_workflows.py text_to_video [--server http://127.0.0.1:8188]

Names of workflows; all of them by default. Without a server that has this pack, the private one is started. The browser
(Chrome or Chromium) is driven with playwright. The frontend itself turns each API prompt into a graph, so the files have
its current format; nodes are laid out in columns by distance from the loaders. Run it after changing an API workflow;
tests/e2e checks that both say the same.
"""

import argparse
import json
import shutil
from contextlib import ExitStack
from pathlib import Path

from comfy_host import ensure_private_host
from comfy_host.server import running
from playwright.sync_api import Page, sync_playwright

WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

# Columns by the longest way from a loader; columns that would be tall are spread by the nodes' own heights.
EXPORT = """async (prompt) => {
  await app.loadApiJson(structuredClone(prompt), 'workflow');
  const nodes = app.graph.nodes;
  const depth = {};
  const yours = ['ZoetropeLoadVideo', 'ZoetropeLoadFrames'];  // loaders too, although one takes a VAE
  const depthOf = (node) => depth[node.id] ??= yours.includes(node.type) ? 0 : Math.max(0, ...(node.inputs ?? [])
    .map((input) => input.link == null ? null : app.graph.getNodeById(app.graph.links.get(input.link).origin_id))
    .filter(Boolean).map((origin) => 1 + depthOf(origin)));
  const columns = [];
  for (const node of nodes) (columns[depthOf(node)] ??= []).push(node);
  let x = 0;
  for (const column of columns) {
    let y = 0, width = 0;
    for (const node of column) {
      const size = node.computeSize();
      const roomy = ['CLIPTextEncode', 'ZoetropeApplyControlNetPerFrame', 'ZoetropePromptSchedule',
                     'ZoetropeFrameValues'].includes(node.type);
      const shows = ['ZoetropeCombineVideo', 'ZoetropeSampleEndless', 'ZoetropeSampleVideo',
                     'ZoetropePreviewSchedule', 'ZoetropeTrainingClips', 'ZoetropeCameraMotionClips',
                     'ZoetropeTrainMotionLora', 'ZoetropeTrainMotionModel', 'ZoetropeTrainDomainAdapter', ...yours].includes(node.type);
      node.setSize([Math.max(size[0], 300), roomy ? Math.max(size[1], 180) : size[1]]);
      if (shows) node.setSize([Math.max(size[0], 340), size[1] + 320]);
      node.pos = [x, y];
      y += node.size[1] + 60;
      width = Math.max(width, node.size[0]);
    }
    x += width + 60;
  }
  for (const node of nodes) for (const widget of node.widgets ?? [])
    if (widget.name === 'control_after_generate') widget.value = 'fixed';
  const graph = JSON.parse(JSON.stringify(app.graph.serialize()));
  graph.extra.ds = {scale: 0.9, offset: [416, 110]};  // the same view whatever was on the screen
  return graph;
}"""


def open_editor(page: Page, server: str) -> None:
    """Wait until the editor's graph can be driven."""
    page.goto(server)
    page.wait_for_function("() => window.app?.graph && window.LiteGraph?.registered_node_types?.ZoetropeCombineVideo")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="of workflows/api, without .json")
    parser.add_argument("--server", help="address of a running ComfyUI with this pack")
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args()
    sources = {path.stem: path for path in sorted((WORKFLOWS / "api").glob("*.json"))}
    missing = [name for name in options.names if name not in sources]
    if missing:
        parser.error(f"workflows/api has no {', '.join(missing)}; it has {', '.join(sources)}.")
    with ExitStack() as stack:
        server = options.server or stack.enter_context(running(ensure_private_host(), extra=["--cpu"])).url
        export([sources[name] for name in options.names or sources], server, options.browser)


def export(sources: list[Path], server: str, program: str | None) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        open_editor(page, server)
        for source in sources:
            graph = page.evaluate(EXPORT, json.loads(source.read_text(encoding="utf-8")))
            target = WORKFLOWS / source.name
            target.write_text(json.dumps(graph, indent=1) + "\n", encoding="utf-8")
            print(f"{target.name}: {len(graph['nodes'])} nodes")
        browser.close()


if __name__ == "__main__":
    main()
