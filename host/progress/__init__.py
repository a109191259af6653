"""What a user sees while a clip is sampled."""
