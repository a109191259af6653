"""What one UNet call holds: which frames, which rows of the conditioning, which strength at which step."""
