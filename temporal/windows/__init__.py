"""Sliding windows over the frames: where they lie, how they are blended, when they act."""
