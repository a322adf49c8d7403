"""A real varved with small segments: retention by size frees disk, and log starts survive kill -9."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

VARVED, VARVE, DIRECTORY = sys.argv[1:4]
DATA = os.path.join(DIRECTORY, "data")
READY = os.path.join(DIRECTORY, "ready")


def start():
    if os.path.exists(READY):
        os.remove(READY)
    process = subprocess.Popen(
        [VARVED, "--data_dir=" + DATA, "--grpc.address=127.0.0.1:0", "--http.address=127.0.0.1:0",
         "--storage.sync_interval=100ms", "--ready-file=" + READY],
        stderr=open(os.path.join(DIRECTORY, "log"), "a"))
    deadline = time.monotonic() + 30
    while not os.path.exists(READY):  # a real process tells by its file alone
        assert process.poll() is None and time.monotonic() < deadline, "varved does not start"
        time.sleep(0.02)
    with open(READY) as file:
        fields = dict(part.split("=", 1) for part in file.read().split())
    return process, fields["grpc"]


def varve(server, *arguments, stdin=None, want=0):
    done = subprocess.run([VARVE, *arguments, "--server", server], input=stdin, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == want, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout


def partition(server):
    return json.loads(varve(server, "topic", "describe", "t", "-o", "json"))[0]["partitions"][0]


def disk_bytes():
    total = 0
    for path, _, names in os.walk(os.path.join(DATA, "groups")):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                pass  # a trim was quicker
    return total


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def main():
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    os.makedirs(DIRECTORY)
    process, server = start()
    try:
        varve(server, "topic", "create", "t", "--set", "segment.bytes=64KiB")
        for first in range(0, 2000, 100):  # a call is a batch, and here a segment
            lines = ["%06d%s\n" % (i, os.urandom(500).hex()) for i in range(first, first + 100)]
            varve(server, "produce", "t", stdin="".join(lines))
        before = partition(server)
        assert before["log_start"] == 0 and before["high_watermark"] == 2000, before
        wait_for(lambda: disk_bytes() > 1_000_000)
        varve(server, "topic", "alter", "t", "--set", "retention.bytes=200KiB")
        wait_for(lambda: partition(server)["log_start"] > 1000)
        wait_for(lambda: disk_bytes() < 700_000)
        kept = partition(server)
        assert kept["size_bytes"] >= 200 * 1024, kept
        for _ in range(2):
            process.send_signal(signal.SIGKILL)
            process.wait()
            process, server = start()
            assert partition(server)["log_start"] == kept["log_start"], (partition(server), kept)
        text = varve(server, "topic", "delete-records", "t", "--before", "1995", "--yes", "-o", "json")
        assert json.loads(text)["log_start"] == 1995, text
        varve(server, "topic", "delete-records", "t", "--before", "2001", "--yes", want=1)
        varve(server, "topic", "alter", "t", "--set", "retention.ms=1", want=2)
        varve(server, "broker", "confirm-clock")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process, server = start()
        assert partition(server)["log_start"] == 1995
    finally:
        process.kill()
        process.wait()


main()
