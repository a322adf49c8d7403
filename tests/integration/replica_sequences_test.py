"""What compare_group takes for equal, and what not. The last line is the counts."""
import sys

from replica_sequences import METADATA, compare_group

TOPIC = METADATA + 1


def entry(index, kind="data", term=1, crc=7):
    offset = index * 10
    return (index, index, term, kind, offset, offset + (9 if kind == "data" else -1), 100, crc)


def logs(*third, base=5, group=TOPIC, start=(1, 1, 1), end=None):
    """Two replicas of `base` entries, and a third one that holds these."""
    lists = [[entry(i) for i in range(1, base + 1)]] * 2 + [list(third)]
    records = {node: {"log_start_index": start[node - 1], "last_index": lists[node - 1][-1][1]}
               for node in (1, 2, 3)}
    if end is not None:
        records[3]["last_index"] = end
    return group, records, dict(zip((1, 2, 3), lists))


FIVE = [entry(i) for i in range(1, 6)]
EQUAL = {
    "the same": (logs(*FIVE), 5),
    "a log that begins later": (logs(*FIVE[2:], start=(1, 1, 3)), 3),
    "a barrier of the stop on one of them": (logs(*FIVE, entry(6, "barrier", 2)), 5),
    "entries behind a crash beyond the log's end": (logs(*FIVE, entry(6), end=5), 5),
    "metadata of the stop on one of them": (logs(*FIVE, entry(6), group=METADATA), 5),
}
DIFFERENT = {
    "a payload": logs(*FIVE[:4], entry(5, crc=8)),
    "a term": logs(*FIVE[:4], entry(5, term=2)),
    "a kind": logs(*FIVE[:4], entry(5, "meta")),
    "an entry that is not there": logs(*FIVE[:2], *FIVE[3:]),
    "a record that the others do not have": logs(*FIVE, entry(6)),
    "a record that this one does not have": logs(*FIVE[:4]),
    "a log that is not shown to its end": logs(*FIVE, end=6),
    "a log that is not shown from its start": logs(*FIVE[1:]),
}


def main():
    failed = []
    for name, (arguments, entries) in EQUAL.items():
        try:
            if compare_group(*arguments) != entries:
                failed.append("FAIL: %s: wrong count" % name)
        except AssertionError as difference:
            failed.append("FAIL: %s: %s" % (name, difference))
    for name, arguments in DIFFERENT.items():
        try:
            compare_group(*arguments)
            failed.append("FAIL: %s: taken for equal" % name)
        except AssertionError:
            pass
    print(*failed, sep="\n", end="\n" if failed else "")
    total = len(EQUAL) + len(DIFFERENT)
    print("%d passed, %d failed, 0 skipped" % (total - len(failed), len(failed)))
    return 1 if failed else 0


sys.exit(main())
