"""The video formats: what they are, and which can be written here."""
