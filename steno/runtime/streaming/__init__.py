"""Streaming recognition: samples as they come in, partial and final results out. Needs neither torch nor mlflow."""

from steno.runtime.streaming.endpointing import EndpointConfig
from steno.runtime.streaming.events import Event, Final, Partial, Reason
from steno.runtime.streaming.session import StreamingSession, advance
from steno.runtime.streaming.windows import WindowConfig

__all__ = [
    "EndpointConfig",
    "Event",
    "Final",
    "Partial",
    "Reason",
    "StreamingSession",
    "WindowConfig",
    "advance",
]
