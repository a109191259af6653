"""Motion models on a MODEL: loaded, applied, checked, and run in each UNet call."""
