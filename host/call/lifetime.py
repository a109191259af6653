"""How long what is put on layers for a UNet call stays there."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from . import keys


@contextmanager
def until_backward(options: Mapping[str, Any]) -> Iterator[ExitStack]:
    """What is to be undone when a UNet call ends, or, in training, when its gradients are there.

    A layer that is computed a second time for its gradient must be what it was the first time.

    Args:
        options: transformer_options of the call.
    """
    kept = options.get(keys.UNTIL_BACKWARD)
    if kept is not None:
        yield kept
        return
    with ExitStack() as stack:
        yield stack
