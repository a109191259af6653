"""What one UNet call holds: which frames, which rows of the conditioning, which strength at which step.

Also how a MODEL is told to do something in a run (``wrappers``), and every name in the host's dicts (``keys``). Frames that
belong to a longer clip are announced under two protocols, core's and AnimateDiff-Evolved's, and read in one place
(``frames``), so our motion models and controls work in core's Context Windows node and in other packs'.
"""
