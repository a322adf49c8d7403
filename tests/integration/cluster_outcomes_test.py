"""What three real brokers do when a leader is frozen, a disk goes back in time or is wiped, belongs
to another cluster, or is full: each outcome that the project promises, shown."""
import os
import shutil
import subprocess
import sys
import time

from outcome_cluster import Cluster, await_true

VARVED, VARVE, DIRECTORY = sys.argv[1:4]


def others(cluster, node):
    return ",".join(address for n, address in cluster.clients.items() if n != node)


def await_produced(cluster, topic, value, servers, seconds=20):
    """Until somebody acknowledges it; a value may be in the log twice then."""
    def done():
        return cluster.attempt("produce", topic, "-q", "--delivery-timeout", "2s",
                               stdin=value + "\n", servers=servers).returncode == 0
    await_true("an acknowledgement of " + value, done, seconds)


def await_leader(cluster, topic, not_node=None):
    def led():
        leader = cluster.leader(topic)
        return leader if leader not in (0, not_node) else None
    return await_true("a leader of " + topic, led)


def frozen_leader(cluster):
    """Acknowledges and serves nothing stale when it wakes."""
    cluster.varve("topic", "create", "frozen", "--partitions", "1")
    cluster.produce("frozen", ["before"])
    leader = cluster.leader("frozen")
    broker = cluster.brokers[leader]
    # What lies in its socket when it wakes comes from clients that still think it leads.
    early = subprocess.Popen([VARVE, "produce", "frozen", "-q", "--delivery-timeout", "10s",
                              "--linger", "200ms", "--server", cluster.clients[leader]],
                             stdin=subprocess.PIPE, text=True)
    broker.freeze()
    early.stdin.write("early\n")
    early.stdin.close()
    begin = time.monotonic()
    await_produced(cluster, "frozen", "after", others(cluster, leader))
    gap = time.monotonic() - begin
    stale = [subprocess.Popen([VARVE, "consume", "frozen", "-e", "-q", "--server",
                               cluster.clients[leader]], stdout=subprocess.PIPE, text=True)
             for _ in range(3)]
    time.sleep(0.3)  # their questions are with the frozen process
    broker.thaw()
    for reader in stale:
        read = reader.communicate(timeout=30)[0].split()
        assert reader.returncode != 0 or "after" in read, read
    acknowledged = early.wait(timeout=30) == 0
    read = cluster.read("frozen")
    assert read[0] == "before" and "after" in read, read
    assert not acknowledged or "early" in read, read
    for servers in cluster.clients.values():
        assert cluster.read("frozen", servers=servers) == read
    print("next acknowledgement after %.2f s; the early one %s" % (
        gap, "was acknowledged" if acknowledged else "was not"))


def restored_image(cluster):
    """Suspect as soon as a peer that saw more answers; the others serve everything."""
    cluster.varve("topic", "create", "restored", "--partitions", "1")
    cluster.produce("restored", ["in the image"])
    broker = cluster.brokers[2]
    broker.stop()
    shutil.copytree(broker.data, broker.data + ".image")
    broker.start()
    assert broker.await_ready() is None
    for i in range(5):
        cluster.produce("restored", ["later %d" % i])
    time.sleep(0.3)
    broker.kill()
    broker.wipe()
    os.rename(broker.data + ".image", broker.data)
    broker.forget_log()
    for _ in range(2):  # found out by what the others remember; then it is known here as well
        broker.start()
        code = broker.await_ready()
        if code is None:  # it was ready before the first of the others was heard
            await_true("the image is found out", lambda: "is behind what others know" in broker.log())
            broker.kill()
        else:
            assert code == 10, broker.log()[-2000:]
            assert "mv %s %s.damaged" % (broker.data, broker.data) in broker.log()
        suspect = [group["replica"]["suspect"] for group in broker.inspect()["groups"]]
        assert suspect and all(suspect), suspect
    assert code == 10
    await_produced(cluster, "restored", "the others go on", others(cluster, 2))
    assert len(cluster.read("restored", servers=others(cluster, 2))) >= 7
    # No vote before it is admitted under a new epoch: what it forgot counts nowhere.
    broker.wipe()
    broker.start()
    assert broker.await_ready() is None, broker.log()[-2000:]


def foreign_cluster(cluster):
    broker = cluster.brokers[3]
    broker.stop()
    os.rename(broker.data, broker.data + ".own")
    seeds, cluster.seeds = cluster.seeds, "3@" + cluster.peers[3]
    broker.start()
    assert broker.await_ready() is None  # a cluster of its own
    broker.stop()
    cluster.seeds = seeds
    broker.forget_log()
    broker.start()
    assert broker.await_ready() == 78, broker.log()
    assert "belongs to cluster" in broker.log(), broker.log()
    broker.wipe()
    os.rename(broker.data + ".own", broker.data)
    broker.start()
    assert broker.await_ready() is None, broker.log()[-2000:]


def recover(broker, *options):
    return subprocess.run([VARVED, "recover", broker.data, *options], capture_output=True,
                          text=True, timeout=60, check=False)


def majority_lost(cluster):
    """The survivor goes on alone by an operator's decision; the lost come back only emptied."""
    cluster.varve("topic", "create", "majority", "--partitions", "1")
    cluster.produce("majority", ["kept"])
    # What is committed is on the survivor, too.
    await_true("equal logs", lambda: "behind" not in cluster.varve("topic", "describe", "majority"))
    for broker in cluster.brokers.values():
        broker.kill()
    survivor, lost = cluster.brokers[1], cluster.brokers[2]
    said = recover(survivor, "--only-survivor")
    assert said.returncode == 10 and "nothing was changed" in said.stdout, said
    assert "the voter on node 3 is given up" in said.stdout, said
    done = recover(survivor, "--only-survivor", "--accept-loss")
    assert done.returncode == 0, done
    assert survivor.inspect()["damaged_files"] == 0
    survivor.start()
    assert survivor.await_ready() is None, survivor.log()[-2000:]
    alone = cluster.clients[1]
    await_produced(cluster, "majority", "alone", alone)
    assert cluster.read("majority", servers=alone)[0] == "kept"
    lost.forget_log()
    lost.start()
    await_true("the lost one is stopped", lambda: "went on without this broker" in lost.log())
    if lost.await_ready() is None:
        lost.kill()
    lost.wipe()
    lost.start()
    assert lost.await_ready() is None, lost.log()[-2000:]
    await_produced(cluster, "majority", "together", alone)


class SmallDisk:
    """A tmpfs of 80 MiB for one broker's directory, which something else can fill."""

    def __init__(self, broker):
        self.path = broker.data + ".disk"
        os.makedirs(self.path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", self.path],
                              capture_output=True, text=True, check=False)
        self.mounted = done.returncode == 0
        broker.data = os.path.join(self.path, "data")

    def fill(self):
        with open(self.path + "/ballast", "wb", 0) as ballast:
            try:
                while True:
                    ballast.write(bytes(65536))
            except OSError:
                pass

    def free(self):
        os.remove(self.path + "/ballast")

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", self.path], check=True)


def offer(cluster, written, records=100):
    """One attempt; what was acknowledged is remembered."""
    values = ["%d.%d %s" % (len(written), i, "y" * 1000) for i in range(records)]
    done = cluster.attempt("produce", "full", "-q", "--delivery-timeout", "1s",
                           stdin="".join(value + "\n" for value in values))
    if done.returncode == 0:
        written.append(values)
    return done.returncode == 0


def full_on(cluster, disks, count, written):
    first = cluster.leader("full")
    nodes = [first, *(node for node in (1, 2, 3) if node != first)][:count]
    for node in nodes:
        disks[node].fill()
    def refuses_records():
        return all(cluster.brokers[node].metric("varve_disk_full") == 1 for node in nodes)

    def under_load():
        offer(cluster, written)
        return refuses_records()
    await_true("full disks", under_load)
    if count == 1:  # the two others are enough, once one of them leads
        await_true("records on two of three", lambda: offer(cluster, written))
        assert cluster.leader("full") != first
    else:
        assert not offer(cluster, written)
    # Votes, trims and deletions still work.
    start = cluster.partitions("full")[0]["log_start"]
    cluster.varve("topic", "delete-records", "full", "--partition", "0", "--before",
                  str(start + 50), "--yes")
    assert cluster.partitions("full")[0]["log_start"] == start + 50
    victim = cluster.brokers[cluster.leader("full")]
    victim.kill()
    await_leader(cluster, "full", not_node=victim.node)
    victim.start()
    assert victim.await_ready() is None, victim.log()[-2000:]
    cluster.varve("topic", "delete", "spare%d" % count, "--yes")
    for node in nodes:
        disks[node].free()
    begin = time.monotonic()
    await_true("records again", lambda: offer(cluster, written))
    print("full on %d: records %.1f s after there was room" % (count, time.monotonic() - begin))


def full_disks(cluster, disks):
    cluster.start()
    for topic in ("full", "spare1", "spare2", "spare3"):
        cluster.varve("topic", "create", topic, "--partitions", "1", "--set",
                      "segment.bytes=65536")
    written = []
    assert offer(cluster, written)
    for count in (1, 2, 3):
        full_on(cluster, disks, count, written)
    start = cluster.partitions("full")[0]["log_start"]
    read = set(cluster.read("full"))
    lost = [value for values in written for value in values if value not in read]
    assert len(lost) <= start, (len(lost), start)


def on_small_disks():
    with Cluster(VARVED, VARVE, DIRECTORY + "_full") as cluster:
        disks = {node: SmallDisk(broker) for node, broker in cluster.brokers.items()}
        try:
            if not all(disk.mounted for disk in disks.values()):
                print("full_disks: not permitted to mount a tmpfs; full_disk_test shows the rest")
                return
            begin = time.monotonic()
            full_disks(cluster, disks)
            print("full_disks       %.1f s" % (time.monotonic() - begin), flush=True)
        finally:
            cluster.kill_all()
            for disk in disks.values():
                disk.unmount()


def main():
    on_small_disks()
    with Cluster(VARVED, VARVE, DIRECTORY) as cluster:
        cluster.start()
        for outcome in (frozen_leader, foreign_cluster, restored_image, majority_lost):
            begin = time.monotonic()
            outcome(cluster)
            print("%-16s %.1f s" % (outcome.__name__, time.monotonic() - begin), flush=True)


main()
