"""System metrics under MLflow's own names (``system/cpu_utilization_percentage`` …), taken in a thread.

MLflow's monitors measure; its thread is not used, because it sends by itself and gives up in an outage.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor

PREFIX = "system/"
_log = logging.getLogger("steno.tracking")


def wanted() -> bool:
    """Whether system metrics are on: MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false turns them off."""
    return os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").lower() not in ("false", "0")


def interval() -> float:
    """Seconds between two samples: MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL, else 10."""
    text = os.environ.get("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "")
    try:
        return max(0.1, float(text)) if text else 10.0
    except ValueError:
        _log.warning("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL=%s is not a number of seconds; it is 10", text)
        return 10.0


class SystemMetrics:
    """Samples processor, memory, disk, network and, when there are any, GPUs.

    Args:
        log: takes the metrics and their step.
        step: step of the first sample; a resumed run goes on counting.
        seconds: time between two samples.
    """

    def __init__(self, log: Callable[[Mapping[str, float], int], None], step: int, seconds: float) -> None:
        self._log = log
        self._step = step
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steno-system-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take a last sample and stop."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        monitors = _monitors()
        # The processor's load is measured since the last call in this thread, so the first one says nothing.
        psutil.cpu_percent()
        self._stop.wait(min(1.0, self._seconds))
        while True:
            try:
                self._sample(monitors)
            except OSError as error:  # a counter that this container does not have
                _log.warning("system metrics stop: %s", error)
                return
            if self._stop.wait(self._seconds):
                return

    def _sample(self, monitors: "list[BaseMetricsMonitor]") -> None:
        values: dict[str, float] = {}
        for monitor in monitors:
            monitor.collect_metrics()
            values |= {f"{PREFIX}{key}": float(value) for key, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        self._log(values, self._step)
        self._step += 1


def _monitors() -> "list[BaseMetricsMonitor]":
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors: list[BaseMetricsMonitor] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    try:
        monitors.append(GPUMonitor())
    except (ImportError, RuntimeError) as error:
        _log.debug("no GPU metrics: %s", error)
    return monitors
