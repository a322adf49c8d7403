"""Three real brokers on small files, for tests that damage, freeze, restore and fill their disks."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

SEGMENT_BYTES = 65536
JOURNAL_BYTES = 4 << 20


def free_ports(count):
    """Ports that nobody has now; asked for together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def await_true(what, condition, seconds=20, interval=0.05):
    """Real processes tell what they do by files and pages alone, so they are asked again."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not in time: " + what
        time.sleep(interval)


class Broker:
    def __init__(self, cluster, node):
        self.cluster = cluster
        self.node = node
        self.data = os.path.join(cluster.directory, "data%d" % node)
        self.ready_file = os.path.join(cluster.directory, "ready%d" % node)
        self.log_file = os.path.join(cluster.directory, "log%d" % node)
        self.log_begin = 0
        self.settings = []
        self.process = None

    def start(self):
        if os.path.exists(self.ready_file):
            os.remove(self.ready_file)
        with open(self.log_file, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [self.cluster.varved, "--data_dir=" + self.data, "--node_id=%d" % self.node,
                 "--grpc.address=" + self.cluster.clients[self.node],
                 "--http.address=127.0.0.1:0", "--peer.address=" + self.cluster.peers[self.node],
                 "--bootstrap.nodes=" + self.cluster.seeds,
                 "--journal.file_bytes=%d" % JOURNAL_BYTES, "--storage.sync_interval=200ms",
                 "--storage.dirty_budget_bytes=32MiB", "--storage.reserve_bytes=4MiB",
                 "--shards=2", "--ready-file=" + self.ready_file, *self.settings], stderr=log)

    def is_ready(self):
        return os.path.exists(self.ready_file)

    def await_ready(self, seconds=40):
        """The exit code of a broker that ended instead; None of one that is ready."""
        def settled():
            return self.is_ready() or self.process.poll() is not None
        await_true("broker %d ready" % self.node, settled, seconds, 0.02)
        return self.process.poll()

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(timeout=60)

    def kill(self):
        return self.end(signal.SIGKILL)

    def stop(self):
        code = self.end(signal.SIGTERM)
        assert code == 0, "broker %d ended with %d" % (self.node, code)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def page(self, path):
        with open(self.ready_file, encoding="utf-8") as ready:
            http = dict(part.split("=", 1) for part in ready.read().split())["http"]
        with urllib.request.urlopen("http://%s%s" % (http, path), timeout=10) as page:
            return page.read().decode()

    def metric(self, name):
        for line in self.page("/metrics").splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        raise AssertionError("no metric " + name)

    def log(self):
        """What it said since the last forget_log."""
        with open(self.log_file, encoding="utf-8") as log:
            log.seek(self.log_begin)
            return log.read()

    def forget_log(self):
        self.log_begin = os.path.getsize(self.log_file)

    def inspect(self, *options):
        done = subprocess.run([self.cluster.varved, "inspect", self.data, "--json", *options],
                              text=True, capture_output=True, timeout=60, check=False)
        assert done.returncode in (0, 10), (done.returncode, done.stdout[-500:], done.stderr)
        return json.loads(done.stdout)

    def wipe(self):
        shutil.rmtree(self.data)


class Cluster:
    def __init__(self, varved, varve, directory):
        self.varved, self.program, self.directory = varved, varve, directory
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        nodes = (1, 2, 3)
        ports = free_ports(6)
        self.peers = {node: "127.0.0.1:%d" % ports[node - 1] for node in nodes}
        self.clients = {node: "127.0.0.1:%d" % ports[node + 2] for node in nodes}
        self.seeds = ", ".join("%d@%s" % item for item in self.peers.items())
        self.servers = ",".join(self.clients.values())
        self.brokers = {node: Broker(self, node) for node in nodes}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill_all()

    def kill_all(self):
        for broker in self.brokers.values():
            if broker.runs():
                broker.kill()

    def start(self):
        for broker in self.brokers.values():
            broker.start()
        for broker in self.brokers.values():
            assert broker.await_ready() is None, broker.log()[-2000:]

    def attempt(self, *arguments, stdin=None, servers=None, timeout=60):
        return subprocess.run([self.program, *arguments, "--server", servers or self.servers],
                              input=stdin, text=True, capture_output=True, timeout=timeout,
                              check=False)

    def varve(self, *arguments, **options):
        done = self.attempt(*arguments, **options)
        assert done.returncode == 0, (arguments, done.returncode, done.stdout[-2000:], done.stderr)
        return done.stdout

    def partitions(self, topic):
        described = json.loads(self.varve("topic", "describe", topic, "-o", "json"))[0]
        return described["partitions"]

    def leader(self, topic, partition=0):
        return self.partitions(topic)[partition]["leader_node"]

    def produce(self, topic, values, *arguments, **options):
        return self.varve("produce", topic, "-q", *arguments,
                          stdin="".join(value + "\n" for value in values), **options)

    def read(self, topic, **options):
        return self.varve("consume", topic, "-e", "-q", "-f", "%v\\n", timeout=120,
                          **options).split("\n")[:-1]
