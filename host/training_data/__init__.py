"""Training data out of what ComfyUI has: videos, pictures, a VAE and a text encoder become a set of clips on disk.

`sources.py` and `camera.py` say what the clips are, `clip_sets.py` makes the set of them.
"""
