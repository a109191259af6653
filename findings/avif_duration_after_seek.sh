#!/bin/sh
# After Image.seek() of an animated AVIF, info["duration"] is that of another frame until load() has run.
#
# Versions: Pillow 12.0.0, numpy 2.2.6. Python 3.10 to 3.13.
# Behaviour: seek(n) leaves info["duration"] as the last load() set it: the duration of the frame before, or no entry at all
#   for frame 0. A gif of the same frames has the right number straight after seek().
# Usual wrong guess: seek() makes the frame current, and info belongs to the current frame; so a loop that only collects
#   durations need not decode.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pillow==12.0.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import numpy as np
from PIL import Image

WRITTEN = [100, 200, 300, 400]
frames = [Image.fromarray(np.full((16, 16, 3), 60 * number, np.uint8)) for number in range(4)]
seen = {}
for kind in ("avif", "gif"):
    frames[0].save(f"x.{kind}", save_all=True, append_images=frames[1:], duration=WRITTEN)
    image, before, after = Image.open(f"x.{kind}"), [], []
    for number in range(4):
        image.seek(number)
        before.append(image.info.get("duration"))
        image.load()
        after.append(image.info.get("duration"))
    seen[kind] = before, after
    print(kind, "after seek:", before, "after load:", after)
sys.exit(0 if seen == {"avif": ([None, *WRITTEN[:3]], WRITTEN), "gif": (WRITTEN, WRITTEN)} else 1)
PY
