"""What Prometheus reads: requests, orders, connection pools. One process a pod, one registry."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from orders import __version__


class Metrics:
    """The application's metrics in a registry of their own."""

    def __init__(self, image_digest: str | None) -> None:
        """Registers every metric, so that a scrape before the first request shows them."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        info = Info("orders_build", "What runs here.", registry=self.registry)
        info.info({"version": __version__, "image_digest": image_digest or ""})
        self.requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time from request to the end of the answer.",
            ["method", "route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being answered.", registry=self.registry
        )
        self.orders = Counter("orders_created_total", "Orders taken.", registry=self.registry)
        self.fallbacks = Counter(
            "orders_reads_from_primary_total",
            "Reads that the primary answered in place of a replica.",
            ["reason"],
            registry=self.registry,
        )
        for reason in ("behind", "missing", "unreachable"):
            self.fallbacks.labels(reason)
        self.pool = Gauge(
            "database_connections_in_use",
            "Connections in use by pool.",
            ["pool"],
            registry=self.registry,
        )
