"""Carries the connections between brokers, and cuts them.

A process of its own, so that it does not wait for the test's interpreter. PeerRelay starts it:

    relay = PeerRelay({1: (listen, target), ...})   # host:port each
    relay.know(1, pid)       # connections that this process opens are node 1's
    relay.cut([(1, 2)])      # what node 1 opened to node 2 stands still, new ones too
    relay.heal()             # everything goes on where it stood

The address of a broker that is down refuses, as it would without the relay."""
import errno
import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import time

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
LIMIT = 256 * 1024  # bytes waiting for one end
PROBE_SECONDS = 0.02


class PeerRelay:
    def __init__(self, ways):
        self.process = subprocess.Popen([sys.executable, __file__], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._say({"ways": ways})

    def _say(self, command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer == "done\n", "the relay died: %r" % answer

    def know(self, node, pid):
        self._say({"node": node, "pid": pid})

    def cut(self, directions):
        self._say({"cut": directions})

    def heal(self):
        self._say({"cut": []})

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def split(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def opener_of(peer, pids):
    """The node whose process holds the other end of a connection from `peer`; 0 for others."""
    host, port = peer
    local = "%08X:%04X" % (struct.unpack("=I", socket.inet_aton(host))[0], port)
    wanted = set()
    for name in ("tcp", "tcp6"):  # gRPC's sockets are of the latter family, with mapped addresses
        with open("/proc/net/" + name) as table:
            wanted |= {"socket:[%s]" % row[9] for row in map(str.split, table)
                       if row[1].endswith(local)}
    for node, pid in pids.items():
        fds = "/proc/%d/fd" % pid
        try:
            names = os.listdir(fds)
        except OSError:
            continue
        for name in names:
            try:
                if os.readlink(os.path.join(fds, name)) in wanted:
                    return node
            except OSError:
                pass  # closed meanwhile
    return 0


class Link:
    """One connection: its two ends, and the bytes that wait for each."""

    def __init__(self, near, far, way):
        self.near, self.far = near, far
        self.way = way  # (node that opened it, node that it goes to)
        self.waiting = {near: bytearray(), far: bytearray()}
        self.interest = {near: 0, far: 0}
        self.connecting = True

    def other(self, end):
        return self.far if end is self.near else self.near


class Relay:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.ways, self.pids, self.cuts = {}, {}, set()
        self.listeners, self.links = {}, set()
        self.probe_at = {}  # node that is down: when to look again
        self.commands = b""
        os.set_blocking(0, False)
        self.selector.register(0, READ, ("command", None))

    def listen(self, node):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(split(self.ways[node][0]))
        listener.listen(64)
        listener.setblocking(False)
        self.listeners[node] = listener
        self.selector.register(listener, READ, ("accept", node))

    def refused(self, node):
        with socket.socket() as probe:
            return probe.connect_ex(split(self.ways[node][1])) == errno.ECONNREFUSED

    def look(self, node):
        """Listens for a node while its own address does."""
        down = self.refused(node)
        if down and node in self.listeners:
            self.selector.unregister(self.listeners[node])
            self.listeners.pop(node).close()
        elif not down and node not in self.listeners:
            self.listen(node)
        self.probe_at.pop(node, None)
        if down:
            self.probe_at[node] = time.monotonic() + PROBE_SECONDS

    def accept(self, node):
        try:
            near, peer = self.listeners[node].accept()
        except OSError:
            return
        far = socket.socket()
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(near, far, (opener_of(peer, self.pids), node))
        self.links.add(link)
        far.connect_ex(split(self.ways[node][1]))
        self.update(link)

    def update(self, link):
        still = link.way in self.cuts
        for end in (link.near, link.far):
            wanted = 0
            if not still:
                if not link.connecting and len(link.waiting[link.other(end)]) < LIMIT:
                    wanted |= READ
                if link.waiting[end] or (link.connecting and end is link.far):
                    wanted |= WRITE
            if wanted == link.interest[end]:
                continue
            if not link.interest[end]:
                self.selector.register(end, wanted, ("link", link))
            elif wanted:
                self.selector.modify(end, wanted, ("link", link))
            else:
                self.selector.unregister(end)
            link.interest[end] = wanted

    def close(self, link):
        # Before the opener hears of it: its next attempt is to meet what is true now.
        self.look(link.way[1])
        self.links.discard(link)
        for end in (link.near, link.far):
            if link.interest[end]:
                self.selector.unregister(end)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()

    def move(self, link, end, events):
        if link not in self.links:
            return
        try:
            if link.connecting:
                error = link.far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, "connect")
                link.connecting = False
            elif events & WRITE:
                del link.waiting[end][:end.send(link.waiting[end])]
            if events & READ:
                data = end.recv(65536)
                if not data:
                    return self.close(link)
                self.forward(link, link.other(end), data)
        except BlockingIOError:
            pass
        except OSError:
            return self.close(link)
        self.update(link)

    @staticmethod
    def forward(link, end, data):
        waiting = link.waiting[end]
        if not waiting:
            try:
                data = data[end.send(data):]
            except BlockingIOError:
                pass
        waiting += data

    def command(self):
        data = os.read(0, 65536)
        if not data:
            sys.exit(0)
        self.commands += data
        while b"\n" in self.commands:
            line, self.commands = self.commands.split(b"\n", 1)
            self.obey(json.loads(line))
            print("done", flush=True)

    def obey(self, command):
        if "ways" in command:
            self.ways = {int(node): way for node, way in command["ways"].items()}
            for node in self.ways:
                self.look(node)
        elif "pid" in command:
            self.pids[command["node"]] = command["pid"]
        else:
            self.cuts = {tuple(way) for way in command["cut"]}
            for link in self.links:
                self.update(link)

    def run(self):
        while True:
            wait = 1.0 if not self.probe_at else PROBE_SECONDS
            for key, events in self.selector.select(wait):
                kind, what = key.data
                if kind == "link":
                    self.move(what, key.fileobj, events)
                elif kind == "accept" and what in self.listeners:
                    self.accept(what)
                elif kind == "command":
                    self.command()
            for node, at in list(self.probe_at.items()):
                if at <= time.monotonic():
                    self.look(node)


if __name__ == "__main__":
    Relay().run()
