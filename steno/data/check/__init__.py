"""The check before training: every fault of a manifest, by utterance, and a clean manifest from the rest."""

from steno.data.check.fix import Fixed, refuse_inputs, write_fixed
from steno.data.check.problems import Kind, Problem, Severity
from steno.data.check.report import Report, check
from steno.data.check.settings import Settings
from steno.data.check.text_checks import frames_for

__all__ = [
    "Fixed",
    "Kind",
    "Problem",
    "Report",
    "Settings",
    "Severity",
    "check",
    "frames_for",
    "refuse_inputs",
    "write_fixed",
]
