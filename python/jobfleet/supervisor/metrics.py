"""The fleet's state as OpenMetrics."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from jobfleet.auth.keeper import AuthStatus
from jobfleet.supervisor.core import Percentiles, TypeStatus
from jobfleet.supervisor.status import FleetStatus

CONTENT_TYPE = CONTENT_TYPE_LATEST

_OUTCOMES = ("completed", "failed", "errors_thrown", "handed_back", "lost", "expired", "rejected")
_NOW = ("waiting", "dispatched", "running", "settling")


def exposition(status: FleetStatus) -> bytes:
    """The text of one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(status))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text


class _Once(Collector):
    """A snapshot, so that all figures of a scrape belong together."""

    def __init__(self, status: FleetStatus) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        yield from _fleet(self._status)
        yield from _processes(self._status)
        yield from _types(self._status.types)


def _fleet(status: FleetStatus) -> Iterable[Metric]:
    up = GaugeMetricFamily("jobfleet_engine_up", "Whether the engine can be reached.", labels=["engine"])
    up.add_metric([status.fleet.engine.kind], float(status.fleet.engine.state == "up"))
    yield up
    yield from _credentials(status.fleet.credentials)
    yield GaugeMetricFamily("jobfleet_memory_bytes", "Memory of the supervisor.", status.fleet.memory_bytes)
    yield CounterMetricFamily("jobfleet_cpu_seconds", "Processor time of the supervisor.", status.fleet.cpu_s)
    yield GaugeMetricFamily("jobfleet_jobs_in_flight", "Jobs that the fleet holds.", status.totals.in_flight)
    yield GaugeMetricFamily("jobfleet_held_polls", "Polls that the engine holds.", status.totals.held_polls)
    yield GaugeMetricFamily(
        "jobfleet_permits_in_use", "Requests in flight that back-pressure limits.", status.permits.in_use
    )
    if status.permits.cap is not None:
        yield GaugeMetricFamily("jobfleet_permits_cap", "The limit that back-pressure sets.", status.permits.cap)
    yield CounterMetricFamily("jobfleet_refusals", "Requests that the engine pushed back.", status.permits.refusals)
    yield CounterMetricFamily(
        "jobfleet_outcome_refusals", "Outcomes that the engine pushed back.", status.permits.outcome_refusals
    )
    reloads = CounterMetricFamily("jobfleet_reloads", "Reloads by outcome.", labels=["outcome"])
    for outcome, count in status.reloads.items():
        reloads.add_metric([outcome], count)
    yield reloads
    yield CounterMetricFamily("jobfleet_link_errors", "Malformed frames of workers.", status.totals.link_errors)
    yield CounterMetricFamily(
        "jobfleet_task_failures", "Tasks of the core that failed and were replaced.", status.totals.task_failures
    )


def _credentials(status: AuthStatus) -> Iterable[Metric]:
    yield GaugeMetricFamily("jobfleet_credentials_ok", "Whether the credentials work.", float(status.state == "ok"))
    fetches = CounterMetricFamily("jobfleet_credentials_fetches", "Fetches of the header.", labels=["result"])
    fetches.add_metric(["ok"], status.fetched)
    fetches.add_metric(["failed"], status.failed)
    yield fetches
    if status.expires_in_s is not None:
        yield GaugeMetricFamily(
            "jobfleet_credentials_expiry_seconds", "What is left of the token's life.", status.expires_in_s
        )


def _processes(status: FleetStatus) -> Iterable[Metric]:
    ready = GaugeMetricFamily("jobfleet_pool_ready", "Whether a pool works; 0 when degraded.", labels=["pool"])
    generations = GaugeMetricFamily("jobfleet_pool_generation", "Counts up with each reload.", labels=["pool"])
    restarts = CounterMetricFamily("jobfleet_restarts", "Workers that were replaced.", labels=["pool"])
    states = GaugeMetricFamily("jobfleet_processes", "Worker processes by state.", labels=["pool", "state"])
    slots = GaugeMetricFamily("jobfleet_slots_busy", "Slots that run a job.", labels=["pool", "index"])
    jobs = CounterMetricFamily("jobfleet_process_jobs", "Jobs of the present worker.", labels=["pool", "index"])
    memory = GaugeMetricFamily("jobfleet_process_memory_bytes", "Memory of a worker.", labels=["pool", "index"])
    for pool in status.pools:
        ready.add_metric([pool.name], float(pool.state == "ready"))
        generations.add_metric([pool.name], pool.generation)
        restarts.add_metric([pool.name], pool.restarts)
        for state in sorted({process.state for process in pool.processes}):
            states.add_metric([pool.name, state], sum(process.state == state for process in pool.processes))
        for process in {process.index: process for process in pool.processes}.values():
            labels = [pool.name, str(process.index)]
            slots.add_metric(labels, process.busy)
            jobs.add_metric(labels, process.jobs)
            memory.add_metric(labels, process.memory_bytes)
    yield from (ready, generations, restarts, states, slots, jobs, memory)


def _types(types: list[TypeStatus]) -> Iterable[Metric]:
    activated = CounterMetricFamily("jobfleet_jobs_activated", "Jobs taken from the engine.", labels=["pool", "type"])
    outcomes = CounterMetricFamily("jobfleet_jobs", "Jobs by outcome.", labels=["pool", "type", "outcome"])
    now = GaugeMetricFamily("jobfleet_jobs_now", "Jobs that the fleet holds.", labels=["pool", "type", "stage"])
    refused = CounterMetricFamily(
        "jobfleet_polls_refused", "Polls that the engine pushed back.", labels=["pool", "type"]
    )
    for kind in types:
        refused.add_metric([kind.pool, kind.type], kind.refusals)
        activated.add_metric([kind.pool, kind.type], kind.activated)
        for outcome in _OUTCOMES:
            outcomes.add_metric([kind.pool, kind.type, outcome], getattr(kind, outcome))
        for stage in _NOW:
            now.add_metric([kind.pool, kind.type, stage], getattr(kind, stage))
    yield from (activated, refused, outcomes, now)
    yield _quantiles("jobfleet_latency_seconds", "Activation received to outcome answered.", types, "latency_us")
    yield _quantiles("jobfleet_run_seconds", "Run time of handlers.", types, "run_us")
    yield _quantiles("jobfleet_wait_seconds", "Activation received to handler started.", types, "wait_us")


def _quantiles(name: str, text: str, types: list[TypeStatus], field: str) -> Metric:
    family = Metric(name, text, "summary")
    for kind in types:
        percentiles: Percentiles = getattr(kind, field)
        for quantile, value in (("0.5", percentiles.p50), ("0.9", percentiles.p90), ("0.99", percentiles.p99)):
            family.add_sample(name, {"pool": kind.pool, "type": kind.type, "quantile": quantile}, value / 1e6)
    return family
