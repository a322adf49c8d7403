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
import urllib.request

import yaml

from local_cluster import LocalCluster, free_ports

VARVED, VARVE, SOURCE, DIRECTORY = sys.argv[1:5]

TABLE_ROW = re.compile(r"\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \| (.*?) \|$")
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? \S+$")


def poll(what, condition, seconds=30.0):
    """The first true value of the condition; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not within %.0f s: %s" % (seconds, what)
        time.sleep(0.1)  # between two looks at what only another process knows


def get(address, path):
    with urllib.request.urlopen("http://%s%s" % (address, path), timeout=10) as page:
        return page.read().decode()


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


# --- What names metrics


def names_in(expression):
    """The metrics that an expression of PromQL names."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w*\s*\()", bare)
    return set(words) - {"and", "or", "unless", "bool", "offset", "e"}


def dashboard_expressions():
    with open(os.path.join(SOURCE, "deploy/grafana/varve.json")) as file:
        dashboard = json.load(file)
    out = []
    for panel in dashboard["panels"]:
        for query in panel.get("targets", []):
            out.append(("panel '%s'" % panel["title"], query["expr"]))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "two panels have the same id"
    assert len(out) >= 20, out
    return out


def load_rules():
    with open(os.path.join(SOURCE, "deploy/prometheus/alerts.yml")) as file:
        return yaml.safe_load(file)


def rule_expressions(rules):
    return [("alert " + rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]


def check_names(live, expressions):
    known = {"up"}
    for name, family in live.items():
        known.add(name)
        if family.type == "histogram":
            known |= {name + suffix for suffix in ("_bucket", "_sum", "_count")}
    problems = ["%s: no broker exports %s" % (where, name)
                for where, expression in expressions for name in names_in(expression) - known]
    assert all(names_in(expression) for _, expression in expressions)
    assert not problems, "\n".join(problems)
    print("%d expressions of the dashboard and the rules name what is exported" % len(expressions))


# --- A running Prometheus


class Prometheus:
    """Scrapes the brokers each second with the shipped rules, which wait for a second only."""

    def __init__(self, directory, targets, rules):
        self.address = "127.0.0.1:%d" % free_ports(1)[0]
        os.makedirs(directory)
        shutil.copy(os.path.join(SOURCE, "deploy/prometheus/prometheus.yml"), directory)
        with open(os.path.join(directory, "prometheus.yml")) as file:
            config = yaml.safe_load(file)
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        rules = json.loads(json.dumps(rules))
        for group in rules["groups"]:
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "1s"
        for name, content in (("prometheus.yml", config), ("alerts.yml", rules), ("targets.yml", [{"targets": targets}])):
            with open(os.path.join(directory, name), "w") as file:
                yaml.safe_dump(content, file)
        self.log = open(os.path.join(directory, "log"), "w")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=" + os.path.join(directory, "prometheus.yml"),
             "--storage.tsdb.path=" + os.path.join(directory, "data"), "--web.listen-address=" + self.address],
            stderr=self.log, stdout=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def ask(self, path, **arguments):
        """What it answers; None while it does not answer."""
        assert self.process.poll() is None, "Prometheus ended; see its log"
        try:
            answer = json.loads(get(self.address, path + "?" + urllib.parse.urlencode(arguments)))
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is starting
                return None
            raise AssertionError("%s: %s" % (arguments, error.read().decode())) from error
        except OSError:
            return None
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        data = self.ask("/api/v1/query", query=expression)
        return data["result"] if data else []

    def firing(self):
        data = self.ask("/api/v1/alerts")
        return {(alert["labels"]["alertname"], alert["labels"].get("instance", ""))
                for alert in (data["alerts"] if data else []) if alert["state"] == "firing"}


def check_dashboard(prometheus):
    """Each panel shows something of what use() did."""
    for where, expression in dashboard_expressions():
        concrete = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
        poll("%s shows something: %s" % (where, concrete), lambda asked=concrete: prometheus.query(asked), seconds=20)
    print("all %d queries of the dashboard show something" % len(dashboard_expressions()))


def check_broker_down(cluster, prometheus):
    quiet = {name for name, _ in prometheus.firing()} & {"VarveBrokerDown", "VarveUnderReplicated", "VarveLeaderless"}
    assert not quiet, quiet
    begin = time.monotonic()
    cluster.brokers[2].kill()
    poll("VarveBrokerDown fires for broker 2",
         lambda: ("VarveBrokerDown", cluster.http[2]) in prometheus.firing())
    print("VarveBrokerDown fired %.1f s after the kill" % (time.monotonic() - begin))
    down = {instance for name, instance in prometheus.firing() if name == "VarveBrokerDown"}
    assert down == {cluster.http[2]}, down
    poll("VarveUnderReplicated fires", lambda: ("VarveUnderReplicated", "") in prometheus.firing())
    cluster.brokers[2].start()
    cluster.brokers[2].await_ready()
    poll("both alerts end", lambda: not {name for name, _ in prometheus.firing()} &
         {"VarveBrokerDown", "VarveUnderReplicated"})
    print("both alerts ended %.1f s after the kill" % (time.monotonic() - begin))


def use(cluster):
    missing = subprocess.run([VARVE, "topic", "describe", "missing", "--server", cluster.servers],
                             capture_output=True, timeout=60, check=False)
    assert missing.returncode == 3, missing
    cluster.varve("produce", "watched", stdin="".join("record %d\n" % i for i in range(1000)))
    assert len(cluster.varve("consume", "watched", "-e", "-f", "%v\\n").splitlines()) >= 1000


def check_all(cluster, rules):
    store = os.path.join(DIRECTORY, "prometheus")
    with Prometheus(store, list(cluster.http.values()), rules) as prometheus:
        cluster.varve("topic", "create", "watched", "--partitions", "3")
        poll("Prometheus scrapes all brokers", lambda: len(prometheus.query("up == 1")) == 3)
        use(cluster)
        pages = [get(address, "/metrics") for address in cluster.http.values()]
        live = {}
        for page in pages:
            parse_page(page, live)
        check_docs(live)
        check_lint(pages)
        check_names(live, dashboard_expressions() + rule_expressions(rules))
        check_dashboard(prometheus)
        check_broker_down(cluster, prometheus)


def main():
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            print("SKIP: monitoring: %s is not installed" % program)
            return 77
    cluster = LocalCluster(VARVED, VARVE, DIRECTORY)
    try:
        cluster.start()
        check_all(cluster, load_rules())
    finally:
        cluster.kill()
    print("5 passed, 0 failed, 0 skipped")
    return 0


sys.exit(main())
