"""Counters for Prometheus; no label and no value comes from a film or a client."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Telemetry:
    """What one server counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "hilum_requests", "Requests by status.", ["route", "status"], registry=self._registry
        )
        self.films = Counter(
            "hilum_films",
            "Films by outcome: answered, abstained, unreadable.",
            ["outcome"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "hilum_request_seconds",
            "From a request's headers to the end of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.waiting = Gauge(
            "hilum_films_waiting", "Films accepted and not yet answered.", registry=self._registry
        )
        self.restarts = Gauge(
            "hilum_decoder_restarts",
            "Decoding processes that a film has ended.",
            registry=self._registry,
        )

    def text(self) -> bytes:
        """All counters in the format of Prometheus."""
        return bytes(generate_latest(self._registry))
