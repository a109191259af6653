"""How a clip is sampled: windows, noise, FreeInit, FIFO and video to video.

Windows are our own context handler, because core's puts a frame in front of every window, validates nothing and keeps
state; a step is cut by pure functions (``temporal/windows``), so the preview draws what will run. Noise and FreeInit act in
OUTER_SAMPLE, where noise has unit variance and the seed is known. FIFO and video to video call core's guider for some
frames of a longer clip; the VAE decodes between such calls, never inside one, where loading it could unload the UNet.
"""
