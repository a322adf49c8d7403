"""A release broker on a directory of its own, and the command line against it, for scripts/benchmark."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

READY_SECONDS = 60
RUN_SECONDS = 600


class BenchmarkError(Exception):
    """What went wrong and what to do."""


class Broker:
    """One varved while it runs."""

    def __init__(self, bench, directory):
        self.bench = bench
        self.directory = directory
        ready = directory.with_suffix(".ready")
        ready.unlink(missing_ok=True)
        self.log = directory.with_suffix(".log")
        started = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [bench.varved, f"--data_dir={directory}", f"--ready-file={ready}",
                 "--grpc.address=127.0.0.1:0", "--http.address=127.0.0.1:0"],
                stdout=log, stderr=subprocess.STDOUT)
        while not (ready.exists() and "grpc=" in ready.read_text()):
            if self.process.poll() is not None or time.monotonic() - started > READY_SECONDS:
                raise BenchmarkError(f"varved did not become ready; see {self.log}")
            time.sleep(0.005)
        self.ready_seconds = time.monotonic() - started
        self.address = dict(word.split("=", 1) for word in ready.read_text().split())["grpc"]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=READY_SECONDS)

    def resident_kib(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise BenchmarkError("no VmRSS in the broker's status: is it running?")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def disk_read_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
        raise BenchmarkError("no read_bytes in the broker's io statistics")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def varve(self, *arguments):
        return self.bench.varve("-s", self.address, *arguments)


class Bench:
    """The release programs and a scratch directory."""

    def __init__(self, build, directory):
        self.varved = build / "server" / "varved"
        self.program = build / "client" / "cli" / "varve"
        for program in (self.varved, self.program):
            if not program.exists():
                raise BenchmarkError(f"{program} is missing: cmake --preset release && "
                                     "cmake --build build/release --target varved varve")
        self.directory = directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)

    @contextlib.contextmanager
    def broker(self):
        """A broker on an empty directory, which goes away with it."""
        data = self.directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        broker = Broker(self, data)
        try:
            yield broker
        finally:
            broker.stop()
            shutil.rmtree(data, ignore_errors=True)

    def restart(self, broker):
        broker.stop()
        return Broker(self, broker.directory)

    def varve(self, *arguments):
        """Standard output of one command."""
        command = [str(self.program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
        if done.returncode != 0:
            raise BenchmarkError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def perf(self, broker, *arguments):
        """The report of a `varve perf` command."""
        server = ["-s", broker.address] if broker else []
        report = json.loads(self.varve("perf", *arguments, *server, "-q", "-o", "json"))
        if report["failed"]:
            raise BenchmarkError(f"{report['command']}: {report['failed']} failed")
        return report

    def bare_loop(self):
        """MB/s of the bare loop: append 128 KiB to one growing file, fdatasync, again."""
        report = self.perf(None, "fsync", "--loop", "--dir", str(self.directory), "--duration", "4s")
        return report["bytes_per_second"] / 1e6

    def bare_sync(self, *options):
        """The report of 4 KiB writes with fdatasync."""
        return self.perf(None, "fsync", "--dir", str(self.directory), "--duration", "4s", *options)

    def context(self):
        processor = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                          if line.startswith("model name")), "unknown")
        return {"processor": processor, "cores": os.cpu_count(), "kernel": platform.release(),
                "varve": self.varve("--version").strip()}
