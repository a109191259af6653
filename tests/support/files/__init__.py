"""Files in the published layouts, and footage, made for tests."""
