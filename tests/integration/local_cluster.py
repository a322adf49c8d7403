"""A cluster of three real brokers on this machine, for tests that are programs of their own."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time

SEEDS = (1, 2, 3)


def free_ports(count):
    """Ports that nobody listens on, outside the range that outgoing connections take theirs from."""
    ports = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


class Broker:
    """One varved process and its directory; it may be killed and started again."""

    def __init__(self, cluster, node):
        self.cluster = cluster
        self.node = node
        self.data = os.path.join(cluster.directory, "data%d" % node)
        self.ready = os.path.join(cluster.directory, "ready%d" % node)
        self.process = None

    def start(self):
        if os.path.exists(self.ready):
            os.remove(self.ready)
        cluster = self.cluster
        with open(os.path.join(cluster.directory, "log%d" % self.node), "a") as log:
            self.process = subprocess.Popen(
                [cluster.varved, "--data_dir=" + self.data, "--node_id=%d" % self.node,
                 "--grpc.address=" + cluster.clients[self.node], "--http.address=" + cluster.http[self.node],
                 "--peer.address=" + cluster.peers[self.node],
                 "--peer.advertise=" + cluster.advertised[self.node],
                 "--bootstrap.nodes="
                 + ", ".join("%d@%s" % (node, cluster.advertised[node]) for node in SEEDS),
                 "--ready-file=" + self.ready], stderr=log)

    def await_ready(self, seconds=40):
        deadline = time.monotonic() + seconds
        while not os.path.exists(self.ready):  # a real process tells by its file alone
            assert self.process.poll() is None, "broker %d ended" % self.node
            assert time.monotonic() < deadline, "broker %d does not get ready" % self.node
            time.sleep(0.02)

    def ready_fields(self):
        with open(self.ready) as ready:
            return dict(part.split("=", 1) for part in ready.read().split())

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class LocalCluster:
    """Three brokers in `directory`, which is emptied. `advertised` says where peers find each other,
    by node, when that is not where they listen. More brokers, up to `most`, join when they start."""

    def __init__(self, varved, varve, directory, most=3):
        nodes = range(1, most + 1)
        self.varved = varved
        self.varve_path = varve
        self.directory = directory
        ports = free_ports(3 * most)
        self.http = {node: "127.0.0.1:%d" % ports.pop() for node in nodes}
        self.peers = {node: "127.0.0.1:%d" % ports.pop() for node in nodes}
        self.clients = {node: "127.0.0.1:%d" % ports.pop() for node in nodes}
        self.advertised = dict(self.peers)
        self.servers = ",".join(self.clients.values())
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        self.brokers = {node: Broker(self, node) for node in nodes}

    def relay_ways(self):
        """Lets peers find each other at addresses of a PeerRelay; what that is to be made with."""
        ports = free_ports(len(self.peers))
        self.advertised = {node: "127.0.0.1:%d" % ports.pop() for node in self.peers}
        return {node: (self.advertised[node], self.peers[node]) for node in self.peers}

    def start(self):
        for node in SEEDS:
            self.brokers[node].start()
        for node in SEEDS:
            self.brokers[node].await_ready()

    def kill(self):
        for broker in self.brokers.values():
            if broker.running():
                broker.kill()

    def varve(self, *arguments, stdin=None, servers=None, timeout=60):
        """What the command prints; it has to succeed."""
        done = subprocess.run([self.varve_path, *arguments, "--server", servers or self.servers],
                              input=stdin, text=True, capture_output=True, timeout=timeout,
                              check=False)
        assert done.returncode == 0, (arguments, done.returncode, done.stdout[-2000:], done.stderr)
        return done.stdout

    def await_healthy(self, seconds=30):
        """Until `varve doctor` finds nothing wrong."""
        deadline = time.monotonic() + seconds
        while True:
            done = subprocess.run([self.varve_path, "doctor", "--server", self.servers], text=True,
                                  capture_output=True, timeout=60, check=False)
            if done.returncode == 0:
                return
            assert time.monotonic() < deadline, (done.returncode, done.stdout, done.stderr)
            time.sleep(0.2)

    def await_leaders(self, topic, seconds=20):
        """The leading node of each partition, once all have one."""
        deadline = time.monotonic() + seconds
        while True:
            leaders = self.leaders(topic)
            if all(leaders):
                return leaders
            assert time.monotonic() < deadline, leaders
            time.sleep(0.05)

    def nodes(self):
        """Who is in the cluster."""
        listed = self.varve("broker", "list", "-o", "jsonl").splitlines()
        return [json.loads(line)["node"] for line in listed]

    def leaders(self, topic):
        """The leading node of each partition, 0 where none is known."""
        described = json.loads(self.varve("topic", "describe", topic, "-o", "json"))[0]
        return [partition["leader_node"] for partition in described["partitions"]]
