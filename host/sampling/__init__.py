"""How a clip is sampled: windows, noise, FreeInit, FIFO and video to video."""
