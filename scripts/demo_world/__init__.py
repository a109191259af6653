"""A world small enough to be learnt on two cores: coloured balls and boxes that move over one fixed ground.

``sprites`` draws it, ``train_image`` and ``train_motion`` teach a narrow network of 64 channels, ``widen`` turns the narrow
weights into files of the published 320-channel layouts. Drawing and widening need torch only; training needs ComfyUI.
"""
