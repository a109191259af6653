#!/bin/sh
# The gif demuxer's options min_delay and default_delay change nothing.
#
# Versions: imageio-ffmpeg 0.8.1 (its ffmpeg), av 18.1.0 (PyAV), Pillow 12.0.0, numpy 2.2.6. Python 3.11 to 3.13.
# Behaviour: ffmpeg lists min_delay (default 2 hundredths of a second) and default_delay (default 10), yet frames of 10 ms
#   come at 100 a second, also when min_delay=6 and default_delay=50 are given. Only a delay of 0 becomes 100 ms, whatever
#   default_delay says.
# Usual wrong guess: the demuxer shows hasty gifs as browsers do (10 ms as 100 ms), as its defaults say, so nobody else must.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check imageio-ffmpeg==0.8.1 av==18.1.0 pillow==12.0.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import re, subprocess, sys
import av, imageio_ffmpeg, numpy as np
from PIL import Image

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
help_text = subprocess.run([FFMPEG, "-hide_banner", "-h", "demuxer=gif"], capture_output=True, text=True).stdout
listed = dict(re.findall(r"-(min_delay|default_delay) .*\(default (\d+)\)", help_text))
print("listed defaults:", listed)
frames = [Image.fromarray(np.full((16, 16, 3), 60 * number, np.uint8)) for number in range(4)]

def seconds(name, options):
    """Length of the clip, in PyAV's libavformat and in ffmpeg."""
    with av.open(name, options=options) as file:
        times = [frame.pts * frame.time_base for frame in file.decode(video=0)]
    given = [part for pair in options.items() for part in (f"-{pair[0]}", pair[1])]
    told = subprocess.run([FFMPEG, "-v", "error", *given, "-i", name, "-vf", "showinfo", "-loglevel", "info", "-f", "null", "-"],
                          capture_output=True, text=True).stderr
    return float(times[1] - times[0]), float(re.findall(r"pts_time:([\d.]+)", told)[1])

seen = {}
for delay in (0, 10):
    frames[0].save("x.gif", save_all=True, append_images=frames[1:], duration=delay)
    for options in ({}, {"min_delay": "6", "default_delay": "50"}):
        seen[delay, bool(options)] = seconds("x.gif", options)
        print(f"delay {delay} ms, options {options}: second frame at", seen[delay, bool(options)])
expected = {(0, False): (0.1, 0.1), (0, True): (0.1, 0.1), (10, False): (0.01, 0.01), (10, True): (0.01, 0.01)}
sys.exit(0 if seen == expected and listed == {"min_delay": "2", "default_delay": "10"} else 1)
PY
