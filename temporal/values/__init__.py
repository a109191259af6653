"""One number per frame."""
