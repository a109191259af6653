"""From a file to frames and sound.

One time map, made from the packets' timestamps without decoding, says which frame of the file each frame of the clip is, for
frames and sound alike (``frame_times``); the memory of all of it is known before anything is decoded. Files are opened in
``container``; `VideoReader` in ``reader`` is what every source of moving pictures offers.
"""
