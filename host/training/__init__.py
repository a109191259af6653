"""Training on ComfyUI's models: what learns is put on a clone of the MODEL, and each step is a UNet call like any other.

A target (`target.py`) says what learns; `loop.py` is the same for all of them.
"""
