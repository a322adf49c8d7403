"""A storm: faults every few seconds under a recorded load; nothing acknowledged may be lost.

Leaders of three real brokers are killed, frozen and cut off, in the order of a seed. What the clients
saw is judged by varve-history-check, and the stopped replicas must hold equal sequences of entries.
VARVE_SLOW=1 runs for a quarter of an hour. The history of a run that failed stays in its directory."""
import bisect
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from local_cluster import SEEDS, LocalCluster
from overlapping_faults import OverlappingFaults
from peer_relay import PeerRelay
from replica_sequences import compare_replicas

VARVED, VARVE, RECORDER, CHECKER, DIRECTORY = sys.argv[1:6]
SEED = int(os.environ.get("VARVE_SEED", "1"))
SLOW = bool(os.environ.get("VARVE_SLOW"))
FAULTS = {"kill": 200, "stop": 50, "cut": 50} if SLOW else {"kill": 15, "stop": 3, "cut": 3}
OVERLAPS = 60 if SLOW else 2
SECONDS_PER_FAULT = 3.0
RATE = 1600            # records/s offered
WANTED_RATE = 1000     # acknowledged between faults
PARTITIONS = 6
PATIENCE = 20          # seconds until writes go on; far beyond the budgets, which are printed
BUDGET = {"kill": 1.0, "stop": 3.0, "cut": 3.0}


class Recorder:
    """varve-history-record, and the counters that it last told."""

    def __init__(self, servers, path):
        self.path = path
        self.process = subprocess.Popen(
            [RECORDER, "--server", servers, "--topic", "t", "--out", path, "--seed", str(SEED),
             "--rate", str(RATE)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.told = {"now": 0, "acknowledged": [0] * PARTITIONS, "problems": []}
        self.changed = threading.Condition()
        self.listener = threading.Thread(target=self.listen)
        self.listener.start()

    def listen(self):
        for line in self.process.stdout:
            with self.changed:
                self.told = json.loads(line)
                self.changed.notify_all()

    def acknowledged(self):
        return self.told["acknowledged"]

    def await_progress(self, partitions, seconds=PATIENCE):
        """Until each of these partitions acknowledged something that began after now."""
        # What was under way is answered within this time, or not by whom it was sent to.
        settled = time.monotonic_ns() + 100_000_000
        with self.changed:
            assert self.changed.wait_for(lambda: self.told["now"] > settled, seconds)
            before = self.acknowledged()
            more = self.changed.wait_for(
                lambda: all(self.acknowledged()[p] > before[p] for p in partitions), seconds)
            assert more, ("no progress within %d s" % seconds, partitions, before,
                          self.acknowledged(), self.told["problems"])

    def finish(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=200)
        self.listener.join()
        assert code == 0, "the recorder ended with %d" % code


class Storm:
    def __init__(self, cluster, relay, recorder):
        self.cluster, self.relay, self.recorder = cluster, relay, recorder
        self.draw = random.Random(SEED)
        self.faults = []  # kind, when it began, was complete, partitions hit, healed, victim

    def run(self):
        kinds = [kind for kind, count in FAULTS.items() for _ in range(count)]
        self.draw.shuffle(kinds)
        for kind in kinds:
            time.sleep(self.draw.uniform(0.2, 0.7))
            self.strike(kind)

    def overlap(self):
        """Behind the counted faults, some that meet."""
        faults = OverlappingFaults(self.cluster, self.relay, self.draw)
        for _ in range(OVERLAPS):
            begin = time.monotonic()
            name = faults.strike()
            healed = time.monotonic()
            self.recorder.await_progress(range(PARTITIONS))
            print("%s: %.2f s, then %.2f s until all partitions went on"
                  % (name, healed - begin, time.monotonic() - healed))

    def strike(self, kind):
        leaders = self.cluster.await_leaders("t")
        victim = self.draw.choice(sorted(set(leaders)))
        hit = [p for p, node in enumerate(leaders) if node == victim]
        begin = time.monotonic_ns()
        heal = getattr(self, kind)(victim)
        done = time.monotonic_ns()
        self.recorder.await_progress(hit)
        heal()
        self.faults.append((kind, begin, done, hit, time.monotonic_ns(), victim))

    def kill(self, victim):
        broker = self.cluster.brokers[victim]
        broker.kill()

        def heal():
            time.sleep(self.draw.uniform(0, 0.3))
            broker.start()
            self.relay.know(victim, broker.process.pid)
            broker.await_ready()
        return heal

    def stop(self, victim):
        process = self.cluster.brokers[victim].process
        process.send_signal(signal.SIGSTOP)

        def heal():
            time.sleep(self.draw.uniform(0, 0.7))
            process.send_signal(signal.SIGCONT)
        return heal

    def cut(self, victim):
        others = [node for node in SEEDS if node != victim]
        deaf = [(node, victim) for node in others]
        mute = [(victim, node) for node in others]
        self.relay.cut(self.draw.choice([deaf, mute, deaf + mute]))

        def heal():
            time.sleep(self.draw.uniform(0, 0.7))
            self.relay.heal()
        return heal


class Acknowledgements:
    """When the records of a history were sent and acknowledged."""

    def __init__(self, path):
        answers = [[] for _ in range(PARTITIONS)]  # by partition: (invoked, acknowledged)
        with open(path) as history:
            for line in history:
                if not line.startswith('{"op":"produce"'):
                    continue
                operation = json.loads(line)
                if operation["outcome"] == "ok":
                    answers[int(operation["key"].rsplit("/", 1)[1])].append(
                        (operation["invoke"], operation["complete"]))
        self.times = sorted(end for partition in answers for _, end in partition)
        self.starts, self.earliest = [], []
        for partition in answers:
            partition.sort()
            ends = list(itertools.accumulate((end for _, end in reversed(partition)), min))
            self.starts.append([start for start, _ in partition])
            self.earliest.append(ends[::-1])

    def next_after(self, partition, when):
        """When the first write that began at `when` or later was acknowledged; None for never."""
        at = bisect.bisect_left(self.starts[partition], when)
        return self.earliest[partition][at] if at < len(self.starts[partition]) else None

    def count(self, begin, end):
        return bisect.bisect_left(self.times, end) - bisect.bisect_left(self.times, begin)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def report_gaps(faults, acknowledged):
    """From the fault to the first acknowledgement of a write that began behind it, per partition."""
    gaps = {kind: [] for kind in FAULTS}
    for kind, begin, done, hit, _, victim in faults:
        for partition in hit:
            answer = acknowledged.next_after(partition, done)
            assert answer, "partition %d never went on after a %s" % (partition, kind)
            gaps[kind].append((answer - begin) / 1e9)
            if gaps[kind][-1] > BUDGET[kind]:
                print("%s of broker %d at %.3f, done within %.3f s: partition %d went on after %.3f s"
                      % (kind, victim, begin / 1e9, (done - begin) / 1e9, partition,
                         gaps[kind][-1]))
    for kind, values in gaps.items():
        struck = sum(fault[0] == kind for fault in faults)
        assert struck == FAULTS[kind], (kind, struck)
        print("%-4s %3d faults, next acknowledged write: p50 %.3f s, p99 %.3f s, max %.3f s "
              "(budget: p99 %.1f s)" % (kind, struck, percentile(values, 0.5),
                                        percentile(values, 0.99), max(values), BUDGET[kind]))


def report_rate(faults, acknowledged, end):
    """Acknowledged records per second between one fault's healing and the next fault."""
    healed = [fault[4] for fault in faults]
    calm = list(zip(healed, [fault[1] for fault in faults[1:]] + [end]))
    seconds = sum(to - start for start, to in calm) / 1e9
    rate = sum(acknowledged.count(start, to) for start, to in calm) / seconds
    each = (healed[-1] - faults[0][1]) / 1e9 / len(faults)
    print("%d acknowledged; %.0f/s in %.0f s between faults; a fault each %.2f s"
          % (len(acknowledged.times), rate, seconds, each))
    assert rate >= WANTED_RATE, "too few records between faults for a storm"
    assert each <= SECONDS_PER_FAULT, "too few faults for a storm"


def judge(path):
    done = subprocess.run([CHECKER, path], text=True, capture_output=True, check=False, timeout=600)
    print(done.stdout + done.stderr, end="")
    assert done.returncode == 0, "the history has anomalies; it is kept in " + path


def main():
    print("VARVE_SEED", SEED, "faults", FAULTS)
    cluster = LocalCluster(VARVED, VARVE, DIRECTORY)
    relay = PeerRelay(cluster.relay_ways())
    recorder = None
    try:
        for node, broker in cluster.brokers.items():
            broker.start()
            relay.know(node, broker.process.pid)
        for broker in cluster.brokers.values():
            broker.await_ready()
        cluster.varve("topic", "create", "t", "--partitions", str(PARTITIONS))
        recorder = Recorder(cluster.servers, os.path.join(DIRECTORY, "history.jsonl"))
        recorder.await_progress(range(PARTITIONS))
        storm = Storm(cluster, relay, recorder)
        storm.run()
        recorder.await_progress(range(PARTITIONS))
        end = time.monotonic_ns()
        storm.overlap()
        cluster.await_healthy()
        recorder.finish()
        for problem in recorder.told["problems"]:
            print("client:", problem)
        acknowledged = Acknowledgements(recorder.path)
        report_gaps(storm.faults, acknowledged)
        report_rate(storm.faults, acknowledged, end)
        judge(recorder.path)
        compare_replicas(cluster)
    finally:
        if recorder is not None and recorder.process.poll() is None:
            recorder.process.kill()
        cluster.kill()
        relay.close()


if __name__ == "__main__":
    main()
