"""Three real brokers; files of one of them are damaged while it is stopped. Each row of TABLE names
a kind of file, what happens to it, and what is demanded of the next start."""
import glob
import os
import random
import signal
import sys
import time

from outcome_cluster import Cluster, await_true

VARVED, VARVE, DIRECTORY = sys.argv[1:4]
SEED = int(os.environ.get("VARVE_SEED", "1"))
BLOCK = 4096
METADATA = 1

# Outcomes.
#  repaired: it starts, and what is damaged comes back from another broker
#  rebuilt:  it starts, and what is damaged was derived, spare or said twice
#  suspect:  it starts; one replica may have lost what it had acknowledged, so it neither votes nor
#            serves until it is back, filled by the others, under a new epoch
#  refused:  it ends with code 10 and says what to do next, since what is lost may concern any
#            replica of the directory; when that is done it is a member again, under a new epoch
REPAIRED, REBUILT, SUSPECT, REFUSED = "repaired", "rebuilt", "suspect", "refused"


def flip(path, position):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x10]))


def cut(path, position):
    os.truncate(path, position)


def delete(path, _):
    os.remove(path)


def group_of(broker, topic):
    return broker.cluster.partitions(topic)[0]["group_id"]


def group_files(broker, group, suffix):
    return sorted(glob.glob(os.path.join(broker.data, "groups", "%016x" % group, "*" + suffix)))


def middle(path):
    return path, os.path.getsize(path) * 2 // 3


def closed_segment(broker, topics):
    return middle(group_files(broker, topics["t"], ".log")[1])


def active_segment(broker, topics):
    """Where a recovery does not look: below the sync point, in front of the last index row."""
    return group_files(broker, topics["t"], ".log")[-1], BLOCK + 2000


def last_entry(topic):
    """Its payload: a recovery looks at the header."""
    def find(broker, topics):
        path = group_files(broker, topics[topic], ".log")[-1]
        return path, os.path.getsize(path) - 100
    return find


def first_segment(topic):
    return lambda broker, topics: (group_files(broker, topics[topic], ".log")[-1], 0)


def index(broker, topics):
    return middle(group_files(broker, topics["t"], ".idx")[1])


def metadata_segment(broker, _):
    path = group_files(broker, METADATA, ".log")[-1]
    return path, os.path.getsize(path) - 100


def metadata_head(broker, _):
    return group_files(broker, METADATA, ".log")[-1], 0


def metadata_index(broker, _):
    return group_files(broker, METADATA, ".idx")[-1], 100


def named(*names, position=100):
    return lambda broker, _: (os.path.join(broker.data, *names), position)


def fold(pattern):
    def find(broker, _):
        return middle(sorted(glob.glob(os.path.join(broker.data, "fold", pattern)))[-1])
    return find


def journal(newest):
    def find(broker, _):
        files = [f for f in broker.inspect()["journal"] if f["newest_checkpoint"] == newest]
        return os.path.join(broker.data, files[-1]["file"]), BLOCK + 100
    return find


def journal_commit(broker, topics):
    """One of the newest file with frames of one topic alone, and commits behind it."""
    file = [f for f in broker.inspect("--commits")["journal"] if f["newest_checkpoint"]][0]
    commits = [c for c in file["commits"][:-1]
               if {f["group"] for f in c["frames"]} - {0} == {topics["lost"]}]
    return os.path.join(broker.data, file["file"]), commits[-1]["position"] + BLOCK + 100


STOP, KILL = signal.SIGTERM, signal.SIGKILL
# kind of file, where, damage, how the broker ended before, outcome, topic that is suspect then
TABLE = [
    ("closed segment", closed_segment, flip, STOP, REPAIRED),
    ("closed segment", closed_segment, cut, STOP, REPAIRED),
    ("closed segment", closed_segment, delete, KILL, REPAIRED),
    ("active segment", active_segment, flip, STOP, REPAIRED),
    ("active segment, tail", last_entry("t"), flip, STOP, REPAIRED),
    ("index", index, flip, STOP, REBUILT),
    ("index", index, cut, KILL, REBUILT),
    ("index", index, delete, STOP, REBUILT),
    ("index of the metadata", metadata_index, flip, STOP, REBUILT),
    ("index of the metadata", metadata_index, delete, KILL, REBUILT),
    ("fold, table", fold("*.sst"), flip, STOP, REBUILT),
    ("fold, manifest", fold("MANIFEST*"), flip, STOP, REBUILT),
    ("fold, manifest", fold("MANIFEST*"), cut, KILL, REBUILT),
    ("fold, current", named("fold", "CURRENT", position=3), flip, STOP, REBUILT),
    ("fold, current", named("fold", "CURRENT", position=3), cut, STOP, REBUILT),
    ("fold, current", named("fold", "CURRENT"), delete, STOP, REBUILT),
    ("mark of the journal", named("journal", "newest"), flip, STOP, REBUILT),
    ("mark of the journal", named("journal", "newest"), cut, KILL, REBUILT),
    ("mark of the journal", named("journal", "newest"), delete, STOP, REBUILT),
    ("reserve", named("reserve"), flip, STOP, REBUILT),
    ("reserve", named("reserve"), cut, STOP, REBUILT),
    ("reserve", named("reserve"), delete, KILL, REBUILT),
    ("lock", named("LOCK"), delete, STOP, REBUILT),
    ("journal, spare file", journal(newest=False), flip, STOP, REBUILT),
    ("journal, spare file", journal(newest=False), cut, STOP, REBUILT),
    ("journal, spare file", journal(newest=False), delete, STOP, REBUILT),
    ("active segment, tail", last_entry("cut"), cut, STOP, SUSPECT, "cut"),
    ("active segment, head", first_segment("headless"), flip, STOP, SUSPECT, "headless"),
    ("active segment", first_segment("deleted"), delete, STOP, SUSPECT, "deleted"),
    ("journal, durable commit", journal_commit, flip, KILL, SUSPECT, "lost"),
    ("journal, checkpoint", journal(newest=True), flip, STOP, REFUSED),
    ("journal, newest file", journal(newest=True), cut, STOP, REFUSED),
    ("journal, newest file", journal(newest=True), delete, STOP, REFUSED),
    ("segment of the metadata", metadata_head, flip, STOP, REFUSED),
    ("segment of the metadata", metadata_segment, cut, STOP, REFUSED),
    ("segment of the metadata", metadata_segment, delete, STOP, REFUSED),
    ("identity", named("identity"), flip, STOP, REFUSED),
    ("identity", named("identity"), cut, STOP, REFUSED),
    ("identity", named("identity"), delete, STOP, REFUSED),
]


def rows():
    """All of them when slow tests are wanted; else one of each kind of what is rebuilt."""
    if os.environ.get("VARVE_SLOW"):
        return TABLE
    draw = random.Random(SEED)
    kinds = {}
    for row in TABLE:
        kinds.setdefault((row[0], row[4]), []).append(row)
    chosen = [[draw.choice(of_kind)] if kind[1] == REBUILT else of_kind
              for kind, of_kind in kinds.items()]
    return [row for of_kind in chosen for row in of_kind]


class RepairTest:
    def __init__(self, cluster):
        self.cluster = cluster
        self.broker = cluster.brokers[3]
        self.broker.settings = ["--storage.scrub_period=300ms"]
        self.written = {}
        self.topics = {}

    def prepare(self):
        self.cluster.start()
        for topic in ("t", "cut", "headless", "deleted", "lost"):
            self.cluster.varve("topic", "create", topic, "--partitions", "1", "--set",
                               "segment.bytes=65536")
            self.topics[topic] = group_of(self.broker, topic)
            self.written[topic] = []
            self.produce(topic, 20)
        self.produce("t", 300)

    def produce(self, topic, records):
        begin = len(self.written[topic])
        values = ["%s %06d %s" % (topic, i, "x" * 1000) for i in range(begin, begin + records)]
        self.cluster.produce(topic, values, "--batch-bytes=8KiB")
        self.written[topic] += values

    def check_reads(self, topics):
        """Every record, through every broker."""
        for servers in self.cluster.clients.values():
            for topic in topics:
                read = self.cluster.read(topic, servers=servers)
                assert read == self.written[topic], (topic, servers, len(read))

    def damaged_groups(self):
        return {group["group"] for group in self.broker.inspect()["groups"]
                for file in group["segments"] + group["indexes"] + group["states"]
                if file["state"] in ("corrupt", "missing")}

    def await_clean(self):
        """While it runs: no damage, and no replica that is suspect."""
        def clean():
            seen = self.broker.inspect()
            suspect = [group["group"] for group in seen["groups"]
                       if group["replica"] and group["replica"]["suspect"]]
            return not self.damaged_groups() and not suspect and seen["damaged_files"] == 0
        await_true("clean files", clean)

    def epoch(self, topic):
        """Of the replica of the topic's only partition; 0 while there is none."""
        replicas = [group["replica"] for group in self.broker.inspect()["groups"]
                    if group["group"] == self.topics[topic] and group["replica"]]
        return replicas[0]["replica_epoch"] if replicas else 0

    def damage(self, find, how, end, topic):
        if topic is not None:
            self.produce(topic, 20)
        self.produce("t", 40)  # closes a segment now and then
        if end == STOP:
            time.sleep(0.02)
        self.broker.end(end)
        path, position = find(self.broker, self.topics)
        how(path, position)
        self.broker.forget_log()
        self.broker.start()
        return self.broker.await_ready()

    def expect_started(self, outcome, topic):
        if outcome == REPAIRED:
            self.produce("t", 130)  # two segments: what was active is closed
        if outcome == SUSPECT:
            assert "may have lost" in self.broker.log(), self.broker.log()[-2000:]
            await_true("a replica under a new epoch", lambda: self.epoch(topic) > 1)
        self.await_clean()

    def expect_refused(self, code):
        log = self.broker.log()
        assert code == 10, (code, log[-2000:])
        error = [line for line in log.splitlines() if line.startswith("varved: error: ")]
        command = "mv %s %s.damaged" % (self.broker.data, self.broker.data)
        assert len(error) == 1 and command in error[0], log[-2000:]
        assert os.system("rm -rf %s.damaged && %s" % (self.broker.data, command)) == 0
        self.broker.start()
        assert self.broker.await_ready() is None, self.broker.log()[-2000:]

    def run(self):
        print("VARVE_SEED", SEED)
        self.prepare()
        for kind, find, how, end, outcome, *topics in rows():
            begin = time.monotonic()
            topic = topics[0] if topics else None
            code = self.damage(find, how, end, topic)
            if outcome == REFUSED:
                self.expect_refused(code)
            else:
                assert code is None, (kind, how.__name__, self.broker.log()[-2000:])
                self.expect_started(outcome, topic)
            self.check_reads(["t", *topics])
            print("%-24s %-7s %-9s %.1f s" % (kind, how.__name__, outcome,
                                              time.monotonic() - begin), flush=True)
        self.check_reads(self.topics)
        self.broker.stop()
        assert self.broker.inspect()["damaged_files"] == 0


def main():
    with Cluster(VARVED, VARVE, DIRECTORY) as cluster:
        RepairTest(cluster).run()


main()
