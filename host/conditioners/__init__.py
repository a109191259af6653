"""What enters a UNet call beside motion modules: camera poses (CameraCtrl) and images (PIA, AnimateLCM-I2V)."""
