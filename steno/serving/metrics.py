"""What /metrics shows, in Prometheus' text form."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 120)
_FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Histogram(
            "steno_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["path", "method", "status"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.queue_seconds = Histogram(
            "steno_queue_seconds", "Seconds a file waited for a worker.", registry=registry, buckets=_SECONDS
        )
        self.real_time_factor = Histogram(
            "steno_real_time_factor",
            "Seconds of a worker for a second of audio.",
            ["kind"],
            registry=registry,
            buckets=_FACTORS,
        )
        self.audio_seconds = Counter(
            "steno_audio_seconds_total", "Seconds of audio that were transcribed.", ["kind"], registry=registry
        )
        self.batch_size = Histogram(
            "steno_batch_size",
            "Recordings or streams that a worker took in one step.",
            ["kind"],
            registry=registry,
            buckets=(1, 2, 4, 8, 16, 32, 64),
        )
        self.final_seconds = Histogram(
            "steno_stream_final_seconds",
            "Seconds from a stream's finish message to its last final.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.queue = Gauge("steno_queue", "Requests that wait for a worker.", registry=registry)
        self.inside = Gauge(
            "steno_requests_inside", "Requests that are uploading, waiting or running.", registry=registry
        )
        self.streams = Gauge("steno_streams", "Live streams.", registry=registry)
        self.refusals = Counter("steno_refusals_total", "Requests and streams refused.", ["reason"], registry=registry)
        self.restarts = Counter(
            "steno_worker_restarts_total", "Workers that died and were replaced.", registry=registry
        )
        self.swaps = Counter("steno_model_swaps_total", "Times another model took over.", registry=registry)
        self.load_failures = Counter(
            "steno_model_load_failures_total",
            "Times another model was to take over and could not be loaded.",
            registry=registry,
        )
        self.loaded_at = Gauge(
            "steno_model_loaded_timestamp_seconds",
            "When the model in use took over, in seconds since 1970.",
            registry=registry,
        )
        self.left_behind = Gauge(
            "steno_model_left_behind",
            "1 while --watch names a model that cannot be loaded, or cannot say which it names.",
            registry=registry,
        )
        self.workers = Gauge("steno_workers_ready", "Workers that are ready.", ["kind"], registry=registry)

    def text(self) -> bytes:
        """The page."""
        return generate_latest(self.registry)
