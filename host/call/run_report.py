"""What one sampling run did, so that none ends without motion in silence.

It lives in the transformer_options of the run: the host copies those for each call, what is in them stays the same object.
"""

import logging
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from torch import nn

from ...inputs.quoting import quoted
from . import keys

log = logging.getLogger("zoetrope")


class RunReport:
    """Notes of one run.

    Attributes:
        calls: UNet calls that were looked at.
        acted: the motion models that ran in at least one of them, as their settings.
        compiled: whether parts of a UNet are compiled, by UNet; nobody compiles them in mid-run.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.acted: set[Hashable] = set()
        self.compiled: dict[nn.Module, bool] = {}
        self._said: set[str] = set()

    def warn_once(self, sentence: str) -> None:
        """A line in the log, the first time in this run."""
        if sentence not in self._said:
            self._said.add(sentence)
            log.warning("%s", sentence)

    def say_still(self, models: Iterable[tuple[Hashable, str]]) -> None:
        """One line in the log for each motion model that ran in no call.

        Args:
            models: (settings, file name) of those that were to run.
        """
        for settings, name in models:
            if settings in self.acted:
                continue
            why = (
                "at no step of this run is it switched on; look at its start_percent, end_percent and keyframes"
                if self.calls
                else "another node answers in place of the UNet; remove it from this MODEL"
            )
            log.warning("Motion model %s did not act in this run: %s.", quoted(name), why)


def begin_report(guider: Any) -> RunReport:
    """The report of the run that starts; the same one for all who ask in their OUTER_SAMPLE wrappers.

    Args:
        guider: of the run; its options are a copy that core drops when the run ends.
    """
    return guider.model_options["transformer_options"].setdefault(keys.RUN_REPORT, RunReport())


def report_of(options: Mapping[str, Any]) -> RunReport:
    """The report of the run that a call belongs to; a new one where none was begun.

    Args:
        options: transformer_options of the call.
    """
    report = options.get(keys.RUN_REPORT)
    return report if isinstance(report, RunReport) else RunReport()
