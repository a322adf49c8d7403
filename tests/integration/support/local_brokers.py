"""Three real brokers on this machine, for tests that are written in Python."""
import os
import signal
import socket
import subprocess
import time
import urllib.request


def free_ports(count):
    """Ports that nobody has now; asked for together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def poll(what, condition, seconds=30.0, pause=0.1):
    """The first true value of the condition; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not within %.0f s: %s" % (seconds, what)
        time.sleep(pause)  # between two looks at what only another process knows


def get(address, path):
    with urllib.request.urlopen("http://%s%s" % (address, path), timeout=10) as page:
        return page.read().decode()


class Cluster:
    """Brokers 1 to 3 in a directory; use it with `with`."""

    def __init__(self, varved, varve, directory):
        self.varved, self.varve_program, self.directory = varved, varve, directory
        ports = free_ports(9)
        self.peer = {n: "127.0.0.1:%d" % ports[n - 1] for n in (1, 2, 3)}
        self.client = {n: "127.0.0.1:%d" % ports[n + 2] for n in (1, 2, 3)}
        self.http = {n: "127.0.0.1:%d" % ports[n + 5] for n in (1, 2, 3)}
        self.processes = {}

    def __enter__(self):
        os.makedirs(self.directory, exist_ok=True)
        for node in (1, 2, 3):
            self.start(node)
        for node in (1, 2, 3):
            self.await_ready(node)
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()

    def start(self, node):
        ready = os.path.join(self.directory, "ready%d" % node)
        if os.path.exists(ready):
            os.remove(ready)
        with open(os.path.join(self.directory, "log%d" % node), "a") as log:
            self.processes[node] = subprocess.Popen(
                [self.varved, "--data_dir=" + os.path.join(self.directory, "data%d" % node),
                 "--node_id=%d" % node, "--grpc.address=" + self.client[node],
                 "--http.address=" + self.http[node], "--peer.address=" + self.peer[node],
                 "--bootstrap.nodes=" + ", ".join("%d@%s" % item for item in self.peer.items()),
                 "--ready-file=" + ready], stderr=log)

    def await_ready(self, node):
        ready = os.path.join(self.directory, "ready%d" % node)

        def is_ready():
            assert self.processes[node].poll() is None, "broker %d ended" % node
            return os.path.exists(ready)
        poll("broker %d is ready" % node, is_ready, pause=0.02)

    def kill(self, node):
        self.processes[node].send_signal(signal.SIGKILL)
        self.processes[node].wait()

    def run(self, *arguments, stdin=None):
        return subprocess.run([self.varve_program, *arguments, "--server",
                               ",".join(self.client.values())], input=stdin, text=True,
                              capture_output=True, timeout=60, check=False)

    def varve(self, *arguments, stdin=None):
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout
