"""LoRAs: MotionLoRA, those of the UNet and the domain adapter, merged into weights or beside them."""
