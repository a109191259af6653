"""Names and shapes of AnimateLCM-I2V's image encoder, as its file has them."""

BLOCKS = 2  # per resolution level


def image_encoder_shapes(widths: tuple[int, ...], prefix: str = "img_encoder.") -> dict[str, tuple[int, ...]]:
    """Shape of each weight by its name in the file.

    Args:
        widths: channels of each resolution level; (320, 640, 1280, 1280) in the published file.
        prefix: start of the names.

    Source:
        G-U-N/AnimateLCM ``animatelcm_sd15/animatelcm/models/adapter.py``, ``Adapter`` with the arguments of
        ``unet.py``: nums_rb=2, cin=4, ksize=1, sk=True, use_conv=False.
    """
    shapes: dict[str, tuple[int, ...]] = {"conv_in.weight": (widths[0], 4, 3, 3), "conv_in.bias": (widths[0],)}
    for level, width in enumerate(widths):
        for block in range(BLOCKS):
            name = f"body.{BLOCKS * level + block}"
            before = widths[level - 1] if level and not block else width
            if before != width:
                shapes |= {f"{name}.in_conv.weight": (width, before, 1, 1), f"{name}.in_conv.bias": (width,)}
            shapes |= {f"{name}.block1.weight": (width, width, 3, 3), f"{name}.block1.bias": (width,)}
            shapes |= {f"{name}.block2.weight": (width, width, 1, 1), f"{name}.block2.bias": (width,)}
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}
