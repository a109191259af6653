#!/bin/sh
# The frame rate of a Matroska file is not the one it was written with.
#
# Versions: av 18.1.0 (PyAV). Python 3.11 to 3.13.
# Behaviour: the container stores a frame's duration in whole nanoseconds, and the demuxer turns that back into a fraction with
#   a bounded denominator: 60000/1001, 48000/1001 and 120000/1001 come back as other fractions, in guessed_rate as in
#   average_rate, while 24000/1001 and 30000/1001, and the same rates in mp4, are exact.
# Usual wrong guess: PyAV gives a Fraction, so it is the exact rate; comparing it with Fraction(60000, 1001) is safe.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
from fractions import Fraction
import av, numpy as np

def read_back(rate, name):
    with av.open(name, "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for number in range(24):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number * 9, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(name) as file:
        return file.streams.video[0].guessed_rate, file.streams.video[0].average_rate

print("PyAV", av.__version__)
wrong = {}
for up in (24000, 30000, 48000, 60000, 120000):
    rate = Fraction(up, 1001)
    seen = {kind: read_back(rate, f"x{up}.{kind}") for kind in ("mkv", "mp4")}
    print(f"{up}/1001:", {kind: [str(r) for r in rates] for kind, rates in seen.items()})
    wrong[up] = (any(r != rate for r in seen["mkv"]), any(r != rate for r in seen["mp4"]))
expected = {24000: (False, False), 30000: (False, False)} | {up: (True, False) for up in (48000, 60000, 120000)}
sys.exit(0 if wrong == expected else 1)
PY
