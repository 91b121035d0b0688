"""The figures of a server: as JSON for its page, and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from rtseg.serving.source_stream import PAGE, SourceStream
from rtseg.serving.stream_server import StreamServer
from rtseg.view_controls import described

_NEVER_SERVED: Mapping[str, Any] = {
    "source": "",
    "state": "failed",
    "frames": 0,
    "dropped": 0,
    "reconnects": 0,
    "starts": 0,
    "frames_per_second": 0.0,
    "age_ms": {"p50": 0.0, "p95": 0.0},
    "faces": 0,
    "outputs": [],
}


def stream_json(stream: SourceStream) -> dict[str, Any]:
    """The state of one stream."""
    figures, ages = stream.statistics, stream.ages
    is_live = stream.state in ("live", "reconnecting")
    return {
        "name": stream.name,
        "source": stream.definition.shown_source,
        "state": stream.state,
        "reason": stream.reason,
        "frames": figures.frames,
        "dropped": figures.dropped,
        "reconnects": figures.reconnects,
        "starts": stream.starts,
        "frames_per_second": round(figures.frames_per_second, 2) if is_live else 0.0,
        "age_ms": {"p50": round(ages.p50, 1), "p95": round(ages.p95, 1)},
        "faces": stream.faces if is_live else 0,
        "outputs": [
            {"name": output.name, "error": output.error, "failures": output.failures}
            for output in stream.outputs
            if output.name != PAGE or output.error
        ],
    }


def server_json(server: StreamServer, problems: Mapping[str, str]) -> dict[str, Any]:
    """The state of all streams, including those that cannot be served.

    Args:
        server: the server.
        problems: the problems of streams that are not served, by name.
    """
    streams = [stream_json(stream) for stream in server.started]
    for name, words in problems.items():
        listed = next((stream for stream in streams if stream["name"] == name), None)
        if listed is None:
            streams.append({**_NEVER_SERVED, "name": name, "reason": words})
        else:
            listed["reason"] = f"continues unchanged: {words}"
    backend = server.backend
    return {
        "backend": described(backend),
        "frames_per_second": round(sum(s["frames_per_second"] for s in streams), 2),
        "crops_a_batch": round(backend.crops / backend.batches, 2) if backend.batches else 0.0,
        "streams": streams,
    }


class ServerCollector(Collector):
    """Reads a server's figures whenever Prometheus asks.

    Args:
        server: the server.
        problems: returns the problems of streams that cannot be served.
    """

    def __init__(self, server: StreamServer, problems: Mapping[str, str]) -> None:
        self._server = server
        self.problems = problems

    def collect(self) -> Iterable[Metric]:
        """See `prometheus_client.registry.Collector`."""
        up = GaugeMetricFamily("rtseg_stream_up", "1 where a stream runs", labels=["stream"])
        frames = CounterMetricFamily(
            "rtseg_stream_frames", "Frames written", labels=["stream", "outcome"]
        )
        reconnects = CounterMetricFamily(
            "rtseg_stream_reconnects", "Times that a source came back", labels=["stream"]
        )
        starts = CounterMetricFamily(
            "rtseg_stream_starts", "Times that a stream was started", labels=["stream"]
        )
        rate = GaugeMetricFamily(
            "rtseg_stream_frames_per_second", "Over the last two seconds", labels=["stream"]
        )
        age = GaugeMetricFamily(
            "rtseg_stream_age_seconds",
            "From the capture of a frame until it was written, lately",
            labels=["stream", "quantile"],
        )
        faces = GaugeMetricFamily("rtseg_stream_faces", "In the newest frame", labels=["stream"])
        output_up = GaugeMetricFamily(
            "rtseg_output_up", "1 where an output is written", labels=["stream", "output"]
        )
        failures = CounterMetricFamily(
            "rtseg_output_failures", "Times that an output failed", labels=["stream", "output"]
        )
        for stream in server_json(self._server, self.problems)["streams"]:
            name = stream["name"]
            is_up = stream["state"] in ("live", "resting")
            up.add_metric([name], float(is_up))
            frames.add_metric([name, "written"], stream["frames"])
            frames.add_metric([name, "dropped"], stream["dropped"])
            reconnects.add_metric([name], stream["reconnects"])
            starts.add_metric([name], stream["starts"])
            rate.add_metric([name], stream["frames_per_second"])
            age.add_metric([name, "0.5"], stream["age_ms"]["p50"] / 1e3)
            age.add_metric([name, "0.95"], stream["age_ms"]["p95"] / 1e3)
            faces.add_metric([name], stream["faces"])
            for output in stream["outputs"]:
                output_up.add_metric([name, output["name"]], float(is_up and not output["error"]))
                failures.add_metric([name, output["name"]], output["failures"])
        yield from (up, frames, reconnects, starts, rate, age, faces, output_up, failures)
        yield from self._backend()

    def _backend(self) -> Iterable[Metric]:
        backend = self._server.backend
        yield CounterMetricFamily(
            "rtseg_backend_batches", "Batches that the network ran", value=backend.batches
        )
        yield CounterMetricFamily(
            "rtseg_backend_crops", "Crops that the network ran", value=backend.crops
        )
        yield InfoMetricFamily(
            "rtseg_backend",
            "What runs the network",
            value={
                "name": backend.name,
                "device": backend.device,
                "precision": backend.precision,
            },
        )


def registry_of(collector: ServerCollector) -> CollectorRegistry:
    """Make a separate registry, with the process's figures (memory, processor) if available."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry
