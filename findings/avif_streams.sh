#!/bin/sh
# The first video stream of an animated AVIF is one opaque still picture.
#
# Versions: av 18.1.0 (PyAV), Pillow 12.0.0, numpy 2.2.6. Python 3.11 to 3.13.
# Behaviour: an animation of six frames with alpha is four streams: the still that stands for the file, its alpha as a gray
#   stream, the six frames, their alpha. streams.video[0] is one frame, no stream has alpha in its pixel format, and the first
#   still and the animation both carry the default mark; streams.best("video") finds the animation.
# Usual wrong guess: container.decode(video=0) gives the frames, as for WebM, GIF and APNG.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 pillow==12.0.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import av, numpy as np
from PIL import Image

frames = []
for number in range(6):
    picture = np.zeros((48, 64, 4), np.uint8)
    picture[..., 0] = 40 * number
    picture[..., 3] = 40 * number
    frames.append(Image.fromarray(picture))
frames[0].save("x.avif", save_all=True, append_images=frames[1:], duration=100, quality=100)
with av.open("x.avif") as file:
    seen = [(s.frames, s.codec_context.pix_fmt, bool(s.disposition & 1)) for s in file.streams.video]
    first, best = sum(1 for _ in file.decode(video=0)), file.streams.best("video").index
for row in enumerate(seen):
    print("stream, (frames, pixel format, default):", *row)
print("frames of decode(video=0):", first, " best stream:", best)
expected = [(1, "yuv420p", True), (1, "gray", False), (6, "yuv420p", True), (6, "gray", True)]
sys.exit(0 if seen == expected and first == 1 and best == 2 else 1)
PY
