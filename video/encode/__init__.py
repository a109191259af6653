"""From frames and sound to a file, by one ffmpeg process.

It is fed raw frames through a pipe by a thread of its own, so that whoever makes frames and the encoder work at the same
time. A small video for the node, where browsers do not play the file, is a second output of the same process.
"""
