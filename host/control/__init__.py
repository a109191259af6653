"""ControlNets that follow the frames of a clip, and the frames they get as hints.

One mechanism for all: ``frame_control`` wraps any control object by composition and gives it the hints of the frames that
are in the call. Our nodes wrap it with a schedule (``apply``); plain controls that a run meets are wrapped at its start, on
the run's own copies (``run``), where positive and negative go on sharing one object. What one call does is ``frame_call``.
"""
