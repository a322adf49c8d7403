"""What scripts/benchmark measures: the budgets of the design that one broker can show."""

import re
import statistics
import time
from dataclasses import dataclass
from typing import Callable

REPLICAS = 10_000
TOPIC_PARTITIONS = 1000
SETTLE_SECONDS = 120
MAX_OPEN_FILES = 600  # the pool of storage.max_open_files, and what is open anyway


@dataclass(frozen=True)
class Row:
    name: str
    budget: str
    run: Callable  # of the bench; one run's figures by name
    met: Callable  # of the medians


def bulk(bench):
    """As fast as possible, between two bare loops."""
    before = bench.bare_loop()
    with bench.broker() as broker:
        report = bench.perf(broker, "produce", "--size", "1KiB", "--partitions", "8", "--duration", "8s",
                            "--batch-bytes", "128KiB", "--broker-pid", str(broker.process.pid))
        resident = broker.resident_kib()
    loop = (before + bench.bare_loop()) / 2
    rate = report["bytes_per_second"] / 1e6
    gigabytes = report["bytes"] / 1e9
    return {"produce MB/s": rate, "bare loop MB/s": loop, "ratio": rate / loop,
            "broker CPU s/GB": report["cpu"]["broker_seconds"] / gigabytes,
            "client CPU s/GB": report["cpu"]["client_seconds"] / gigabytes,
            "resident MiB": resident / 1024}


def durable(bench):
    """100 records/s of 1 KiB, one at a time."""
    busy = bench.bare_sync()["latency_us"]
    bare = bench.bare_sync("--rate", "100")["latency_us"]
    with bench.broker() as broker:
        latency = bench.perf(broker, "produce", "--size", "1KiB", "--partitions", "1", "--rate", "100",
                             "--linger", "0s", "--duration", "20s")["latency_us"]
    return {"p50 ms": latency["p50"] / 1e3, "p99 ms": latency["p99"] / 1e3, "p99.9 ms": latency["p99.9"] / 1e3,
            "bare fdatasync at 100/s p50 ms": bare["p50"] / 1e3, "bare fdatasync at 100/s p99 ms": bare["p99"] / 1e3,
            "bare fdatasync unpaced p50 ms": busy["p50"] / 1e3}


def durable_met(figures):
    return (figures["p50 ms"] <= max(1, 8 * figures["bare fdatasync at 100/s p50 ms"])
            and figures["p99 ms"] <= max(5, 8 * figures["bare fdatasync at 100/s p99 ms"]))


def spread(bench):
    """2,000 records/s of 1 KiB over 1,000 partitions, against the same over one."""
    latency = {}
    with bench.broker() as broker:
        for partitions in (1, 1000):
            report = bench.perf(broker, "produce", "--size", "1KiB", "--partitions", str(partitions), "--rate",
                                "2000", "--linger", "0s", "--duration", "10s", "--warmup", "2s")
            latency[partitions] = report["latency_us"]
    return {"1 partition p50 ms": latency[1]["p50"] / 1e3, "1 partition p99 ms": latency[1]["p99"] / 1e3,
            "1,000 partitions p50 ms": latency[1000]["p50"] / 1e3,
            "1,000 partitions p99 ms": latency[1000]["p99"] / 1e3,
            "p99 ratio": latency[1000]["p99"] / latency[1]["p99"]}


def tail(bench):
    """A topic just written is read from its start: every CRC checked, every record walked."""
    with bench.broker() as broker:
        broker.varve("topic", "create", "tail", "-p", "8")
        bench.perf(broker, "produce", "--topic", "tail", "--size", "1KiB", "--records", "600000", "--warmup", "0s")
        read = broker.disk_read_bytes()
        report = bench.perf(broker, "consume", "--topic", "tail", "--broker-pid", str(broker.process.pid))
        read = broker.disk_read_bytes() - read
    gigabytes = report["bytes"] / 1e9
    return {"consume MB/s": report["bytes_per_second"] / 1e6, "records/s": report["records_per_second"],
            "disk bytes read": read, "broker CPU s/GB": report["cpu"]["broker_seconds"] / gigabytes,
            "client CPU s/GB": report["cpu"]["client_seconds"] / gigabytes}


def settle(broker):
    """Seconds until the new files are synced and closed; they are idle only then."""
    started = time.monotonic()
    while time.monotonic() - started < SETTLE_SECONDS:
        cpu = broker.cpu_seconds()
        time.sleep(2)
        if broker.cpu_seconds() - cpu <= 0.02 and broker.open_files() <= MAX_OPEN_FILES:
            break
    return time.monotonic() - started


def idle(bench):
    """A broker without topics, then with 10,000 replicas that nobody uses, then started again."""
    with bench.broker() as broker:
        time.sleep(2)
        empty, files = broker.resident_kib(), broker.open_files()
        started = time.monotonic()
        for number in range(REPLICAS // TOPIC_PARTITIONS):
            broker.varve("topic", "create", f"idle-{number}", "-p", str(TOPIC_PARTITIONS), "--timeout", "120s")
        created = time.monotonic() - started
        settled = settle(broker)
        full, full_files = broker.resident_kib(), broker.open_files()
        cpu = broker.cpu_seconds()
        time.sleep(20)
        cpu = (broker.cpu_seconds() - cpu) / 20
        again = bench.restart(broker)
        broker.process = again.process
        time.sleep(5)
        restarted = again.resident_kib()
    return {"empty resident MiB": empty / 1024, "KiB/replica": (full - empty) / REPLICAS,
            "KiB/replica after restart": (restarted - empty) / REPLICAS,
            "open files/replica": (full_files - files) / REPLICAS, "CPU %": 100 * cpu,
            "create s": created, "until all is synced s": settled, "restart s": again.ready_seconds}


def idle_met(figures):
    return (figures["empty resident MiB"] <= 64 and figures["KiB/replica"] <= 16
            and figures["KiB/replica after restart"] <= 16 and figures["open files/replica"] < 0.1
            and figures["CPU %"] <= 1)


def topic_list(bench):
    """`varve topic list`, the whole process, 20 times."""
    with bench.broker() as broker:
        broker.varve("topic", "create", "listed", "-p", "8")
        times = []
        for _ in range(20):
            started = time.monotonic()
            if not re.search("listed", broker.varve("topic", "list")):
                raise AssertionError("the topic is not in the list")
            times.append(1000 * (time.monotonic() - started))
    return {"median ms": statistics.median(times), "worst ms": max(times)}


ROWS = [
    Row("bulk", "at least 1.0 x the bare loop", bulk, lambda figures: figures["ratio"] >= 1.0),
    Row("durable", "p50 at most 1 ms, p99 at most 5 ms, or 8 x the bare fdatasync at the same pace", durable, durable_met),
    Row("spread", "p99 over 1,000 partitions at most 3 x that of one", spread,
        lambda figures: figures["p99 ratio"] <= 3),
    Row("tail", "at least 500 MB/s, no disk read", tail,
        lambda figures: figures["consume MB/s"] >= 500 and figures["disk bytes read"] == 0),
    Row("idle", "at most 64 MiB resident, 16 KiB a quiescent replica and no open file, 1 % CPU for 10,000",
        idle, idle_met),
    Row("list", "varve topic list under 30 ms", topic_list, lambda figures: figures["median ms"] < 30),
]
