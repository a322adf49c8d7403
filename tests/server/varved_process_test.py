#!/usr/bin/env python3
"""The process varved as its operator meets it: start, stop, refusals, what it leaves behind.

usage: varved_process_test.py VARVED DIRECTORY
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

VARVED = sys.argv[1]
ROOT = Path(sys.argv[2])
WAIT = 30  # seconds; far above what anything here takes


class Varved:
    """One process on DIRECTORY/data, ready when constructed."""

    def __init__(self, data, *flags):
        self.ready_file = ROOT / "ready"
        self.ready_file.unlink(missing_ok=True)
        self.log = open(ROOT / "log", "w+")
        self.process = subprocess.Popen(command(data, f"--ready-file={self.ready_file}", *flags), stderr=self.log)
        end = time.monotonic() + WAIT
        while not self.ready_file.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"did not become ready: {(ROOT / 'log').read_text()}")
            time.sleep(0.01)
        words = dict(word.split("=", 1) for word in self.ready_file.read_text().split())
        assert int(words["pid"]) == self.process.pid, words
        self.http = words["http"]

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=WAIT) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def fold(self):
        code, body = self.get("/admin/fold")
        assert code == 200, body
        return json.loads(body)

    def settled_fold(self):
        """What the start itself wrote may still be on its way into the fold."""
        fold, equal = self.fold(), 0
        while equal < 20:
            again = self.fold()
            fold, equal = again, equal + 1 if again == fold else 0
        return fold

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(WAIT)


def command(data, *flags):
    return [VARVED, f"--data_dir={data}", "--grpc.address=127.0.0.1:0", "--http.address=127.0.0.1:0", *flags]


def refused(data, *flags):
    done = subprocess.run(command(data, *flags), capture_output=True, text=True, timeout=WAIT)
    errors = [line for line in done.stderr.splitlines() if line.startswith("varved: error: ")]
    assert len(errors) == 1, done.stderr
    return done.returncode, errors[0]


def test_serves_and_stops_on_sigterm(data):
    broker = Varved(data)
    assert broker.get("/readyz") == (200, "ok\n")
    assert broker.get("/healthz") == (200, "ok\n")
    code, metrics = broker.get("/metrics")
    assert code == 200 and "varve_ready 1\n" in metrics, metrics
    assert broker.get("/admin/fold?group=x")[0] == 400
    assert broker.get("/admin/fold?group=77")[0] == 404
    assert broker.end() == 0
    assert "stopped" in (ROOT / "log").read_text()


def test_idle_memory_is_small(data):
    broker = Varved(data)
    _, metrics = broker.get("/metrics")
    broker.end()
    resident = [float(line.split()[1]) for line in metrics.splitlines()
                if line.startswith("process_resident_memory_bytes ")][0]
    assert resident <= 64 << 20, f"{resident / (1 << 20):.1f} MiB resident"


def fold_after_start(data):
    broker = Varved(data)
    fold = broker.fold()
    assert broker.end() == 0
    return fold


def test_fold_is_a_cache(data):
    assert Varved(data).end() == 0
    # Copies, since every start moves the position on, which is part of the hash.
    kept, removed, damaged = ROOT / "kept", ROOT / "removed", ROOT / "damaged"
    for copy in (kept, removed, damaged):
        shutil.copytree(data, copy)
    shutil.rmtree(removed / "fold")
    (damaged / "fold" / "CURRENT").write_text("damaged\n")
    expected = fold_after_start(kept)
    assert fold_after_start(removed) == expected
    assert fold_after_start(damaged) == expected
    assert "rebuilt from the logs" in (ROOT / "log").read_text()


def test_kill_loses_no_metadata(data):
    broker = Varved(data)
    kept = ROOT / "kept"
    before = broker.fold()
    assert broker.end(signal.SIGKILL) == -signal.SIGKILL
    shutil.copytree(data, kept)
    shutil.rmtree(data / "fold")
    after = fold_after_start(data)
    assert after["applied"] >= before["applied"] and after["term"] > before["term"], (before, after)
    assert fold_after_start(kept) == after


def test_directory_in_use(data):
    broker = Varved(data)
    before = broker.settled_fold()
    code, error = refused(data)
    assert code == 4 and "Another varved runs" in error, (code, error)
    after = broker.fold()
    assert after == before, (before, after)
    assert broker.end() == 0


def test_directory_of_another_node(data):
    assert Varved(data).end() == 0
    code, error = refused(data, "--node_id=2")
    assert code == 78 and "another cluster or node" in error, (code, error)
    code, error = refused(data, "--cluster_id=00000000-0000-4000-8000-000000000001")
    assert code == 78 and "another cluster or node" in error, (code, error)


def test_ports_in_use(data):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for door in ("grpc", "http"):
            code, error = refused(data, f"--{door}.address=127.0.0.1:{port}")
            assert code == 4 and str(port) in error, (code, error)
    assert not data.exists(), "a refused start must leave nothing behind"


def test_data_dir_that_cannot_be_one(data):
    for path in (data / "no" / "parent", Path("/etc/passwd")):
        code, error = refused(path)
        assert code == 78 and str(path) in error, (code, error)


def test_configuration_errors(data):
    file = ROOT / "varved.yaml"
    file.write_text("shards: 1\ngrpc:\n  adress: x\n")
    code, error = refused(data, f"--config={file}")
    assert code == 78 and f"{file}:3" in error and '"grpc.address"' in error, (code, error)
    code, error = refused(data, "--grpc.address=0.0.0.0:0")
    assert code == 78 and "security.allow_anonymous: true" in error, (code, error)


def test_inspect_after_a_clean_stop(data):
    assert Varved(data).end() == 0
    done = subprocess.run([VARVED, "inspect", data, "--json"], capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["damaged_files"] == 0


def main():
    failed = 0
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    for name, test in tests:
        shutil.rmtree(ROOT, ignore_errors=True)
        ROOT.mkdir(parents=True)
        try:
            test(ROOT / "data")
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAIL: {name}: {error}")
    print(f"{len(tests) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    for name in [name for name in os.environ if name.startswith("VARVE_")]:
        del os.environ[name]
    sys.exit(main())
