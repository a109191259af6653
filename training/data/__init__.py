"""Clips as latents on disk, encoded once and read a few frames at a time; clips with a camera move made from pictures.

A set of clips is a folder: ``manifest.json`` (`manifest.py`), one file of latents a clip and one with the encoded captions.
`write.py` makes it, `clip_set.py` reads it; neither ever holds a whole clip.
"""
