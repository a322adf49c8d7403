"""Three live brokers against everything that names their metrics: docs/metrics.md, the dashboard, the alert rules.

A real Prometheus runs the rules, with their waits made short: a killed broker fires its alert.
Usage: monitoring_test.py VARVED VARVE SOURCE_DIR DIRECTORY
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse

VARVED, VARVE, SOURCE, DIRECTORY = sys.argv[1:5]
sys.path.insert(0, os.path.join(SOURCE, "tests/integration/support"))
import local_brokers  # noqa: E402
from local_brokers import get, poll  # noqa: E402

TABLE_ROW = re.compile(r"\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \| (.*?) \|$")
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? \S+$")


class Family:
    def __init__(self):
        self.type = self.help = None
        self.labels = set()
        self.sampled = False


def parse_page(text, families):
    """Adds what one scrape shows."""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[len("# HELP "):].split(" ", 1)
            families.setdefault(name, Family()).help = words
        elif line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            families.setdefault(name, Family()).type = kind
        else:
            name, labels = SAMPLE.match(line).groups()
            if name not in families:
                name = re.sub(r"_(bucket|sum|count)$", "", name)
            families[name].sampled = True
            families[name].labels |= set(re.findall(r'(\w+)="', labels or "")) - {"le"}
    return families


def read_docs():
    families = {}
    with open(os.path.join(SOURCE, "docs/metrics.md")) as page:
        for line in page:
            row = TABLE_ROW.match(line.rstrip("\n"))
            if row is None:
                continue
            name, kind, labels, meaning, _ = row.groups()
            assert name not in families, "docs/metrics.md names %s twice" % name
            families[name] = Family()
            families[name].type, families[name].help = kind, meaning
            families[name].labels = set(re.findall(r"`(\w+)`", labels))
    return families


def check_docs(live):
    documented = read_docs()
    problems = ["%s is exported and not in docs/metrics.md" % name for name in live if name not in documented]
    problems += ["%s is in docs/metrics.md and no broker exports it" % name for name in documented if name not in live]
    for name in live.keys() & documented.keys():
        page, seen = documented[name], live[name]
        for what in ("type", "help"):
            if getattr(page, what) != getattr(seen, what):
                problems.append("%s: its %s is %r in docs/metrics.md and %r live" %
                                (name, what, getattr(page, what), getattr(seen, what)))
        if seen.sampled and page.labels != seen.labels:
            problems.append("%s: labels %s in docs/metrics.md, %s live" %
                            (name, sorted(page.labels), sorted(seen.labels)))
    assert not problems, "\n".join(problems)
    print("docs/metrics.md: %d metrics, as exported" % len(documented))


def check_lint(pages):
    for page in pages:
        done = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True,
                              timeout=30, check=False)
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr


def main():
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            print("SKIP: monitoring: %s is not installed" % program)
            return 77
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    with local_brokers.Cluster(VARVED, VARVE, DIRECTORY) as cluster:
        cluster.varve("topic", "create", "watched", "--partitions", "3")
        cluster.varve("produce", "watched", stdin="".join("record %d\n" % i for i in range(1000)))
        assert len(cluster.varve("consume", "watched", "-e", "-f", "%v\\n").splitlines()) == 1000
        pages = [get(address, "/metrics") for address in cluster.http.values()]
        live = {}
        for page in pages:
            parse_page(page, live)
        check_docs(live)
        check_lint(pages)
    print("2 passed, 0 failed, 0 skipped")
    return 0


sys.exit(main())
