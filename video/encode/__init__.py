"""From frames and sound to a file, by one ffmpeg process."""
