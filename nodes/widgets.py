"""Groups of widgets that several nodes share."""

from comfy_api.latest import io


def percent_inputs(what: str, optional: bool = False) -> list[io.Input]:
    """``start_percent`` and ``end_percent``: a range of the training noise schedule, as in core's nodes.

    Args:
        what: subject of the tooltips.
        optional: API prompts may leave them out.
    """

    def socket(name: str, default: float, tooltip: str) -> io.Input:
        return io.Float.Input(
            name, default=default, min=0.0, max=1.0, step=0.001, optional=optional, advanced=optional, tooltip=tooltip
        )

    meaning = "0 is the start of sampling, 1 the end; a position in the noise schedule, as in core's nodes."
    return [
        socket("start_percent", 0.0, f"From where {what} acts. {meaning}"),
        socket("end_percent", 1.0, f"Up to where {what} acts. {meaning}"),
    ]
