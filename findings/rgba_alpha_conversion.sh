#!/bin/sh
# ffmpeg changes alpha when it converts RGBA to YUVA, before any codec has seen it.
#
# Versions: imageio-ffmpeg 0.8.1 (its ffmpeg), numpy 2.2.6. Python 3.10 to 3.13.
# Behaviour: raw RGBA frames written as lossless yuva420p (FFV1) come back with alpha one too high for the levels 128 to 254, so
#   254 becomes 255: nearly opaque becomes opaque. FFV1 is not to blame: with format=gbrap all 256 levels come back.
# Usual wrong guess: alpha has no colour matrix and no range, so a conversion of RGBA to yuva420p copies it.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check imageio-ffmpeg==0.8.1 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import subprocess, sys
import imageio_ffmpeg, numpy as np

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
print(subprocess.run([FFMPEG, "-version"], capture_output=True, text=True).stdout.splitlines()[0])
levels = np.arange(256, dtype=np.uint8)
picture = np.full((16, 256, 4), 120, np.uint8)  # one flat colour; alpha runs from 0 to 255 along the row
picture[..., 3] = levels

def through(pixels):
    raw = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", "256x16"]
    write = [FFMPEG, "-v", "error", "-y", *raw, "-r", "8", "-i", "-", "-c:v", "ffv1", "-pix_fmt", pixels, "x.mkv"]
    subprocess.run(write, input=picture.tobytes(), check=True)
    # alphaextract reads the plane as it is stored, so no conversion back is part of what is seen
    read = [FFMPEG, "-v", "error", "-i", "x.mkv", "-vf", "alphaextract", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    plane = np.frombuffer(subprocess.run(read, capture_output=True, check=True).stdout, np.uint8).reshape(16, 256)
    return plane[8].astype(int) - levels

yuva, planar = through("yuva420p"), through("gbrap")
print("yuva420p: levels that changed:", np.flatnonzero(yuva).tolist()[:1], "to", np.flatnonzero(yuva).tolist()[-1:], "by", sorted(set(yuva.tolist())))
print("gbrap: levels that changed:", np.flatnonzero(planar).tolist())
expected = np.flatnonzero(yuva).tolist() == list(range(128, 255)) and set(yuva.tolist()) == {0, 1} and not planar.any()
sys.exit(0 if expected else 1)
PY
