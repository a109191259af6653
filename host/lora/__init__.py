"""LoRAs: MotionLoRA, those of the UNet and the domain adapter, merged into weights or beside them.

A constant strength is low-rank weight patches on a clone, as core makes them; q, k and v of a motion module are one fused
matrix and are patched by row range. A strength over frames, picture or steps, fp8 weights and weights that are used where
they rest take low-rank layers beside the weights (``bypass``). Nothing dense is kept either way.
"""
