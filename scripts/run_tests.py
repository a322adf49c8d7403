"""The stages of scripts/test: what is built, what runs, how long each may take. See docs/testing.md."""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import test_report
from test_report import Report

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

# Rows of the time table, in minutes on 2 cores from a clean checkout without a compiler cache.
BUDGETS = {"install": 3, "build": 16, "unit and conformance": 3, "simulator": 5, "processes": 8,
           "fuzz": 2, "check": 3}
# Where the sources of each label live: a label without a test is an error once there are any.
SOURCES = {"unit": "tests/*/*_test.cc", "sim": "tests/sim/*.cc", "process": "tests/integration/*",
           "fuzz": "tests/fuzz/*_fuzz.cc"}
FUZZ_SECONDS_IN_TOTAL = 60
FUZZ_SECONDS_IN_TOTAL_SLOW = 1800


class Run:
    """One run of scripts/test: its options, what it counted, and where the time went."""

    def __init__(self, options):
        self.options = options
        self.report = Report()
        self.minutes = {}
        self.failed_builds = set()

    # --- pieces that stages are made of

    def headline(self, text):
        print(f"\n=== {text}", flush=True)

    def call(self, command, **keywords):
        """Runs a program with its output on the terminal; True when it succeeded."""
        print("+ " + " ".join(str(word) for word in command), flush=True)
        return subprocess.run(command, cwd=ROOT, **keywords).returncode == 0

    def fail(self, name, reason):
        print(f"FAILED: {name}: {reason}", flush=True)
        self.report.failures.append((name, reason))

    def build(self, preset, targets=()):
        """Configures and builds one preset. A failure counts as one failed test."""
        self.headline(f"build {preset}: {' '.join(targets) or 'everything'}")
        environment = dict(os.environ, NINJA_STATUS=f"[{preset} %f/%t %es] ")
        command = ["cmake", "--build", BUILD / preset, "--parallel", str(self.options.jobs)]
        command += ["--target", *targets] if targets else []
        configured = self.call(["cmake", "--preset", preset, "--log-level=NOTICE"])
        if not configured or not self.call(command, env=environment):
            self.failed_builds.add(preset)
            self.fail(f"build-{preset}", "the build failed; the compiler's message is above")

    def built(self, preset):
        if preset in self.failed_builds:
            print(f"not run: the build of {preset} failed")
            return False
        if not (BUILD / preset / "CTestTestfile.cmake").exists():
            self.fail(f"build-{preset}", "was never built; run the stage that builds it first")
            return False
        return True

    def ctest(self, preset, labels, only=None, jobs=None):
        """Runs the ctest entries of some labels and adds up their cases. Returns how many ran."""
        if not self.built(preset):
            return 0
        directory = BUILD / preset
        reports = directory / "reports"
        junit = directory / f"ctest-{'-'.join(labels)}.xml"
        select = ["--label-regex", f"^({'|'.join(labels)})$"]
        select += [] if self.options.slow else ["--label-exclude", "^slow$"]
        select += ["--tests-regex", f"^({'|'.join(map(re.escape, only))})$"] if only else []
        # A report of an earlier run must never stand in for a test that crashed in this one.
        junit.unlink(missing_ok=True)
        for name in self.entries(directory, select):
            (reports / f"{name}.xml").unlink(missing_ok=True)
        self.call(["ctest", "--test-dir", directory, *select, "--no-tests=ignore",
                   "--parallel", str(jobs or self.options.jobs), "--output-on-failure",
                   "--output-junit", junit, "--test-output-size-passed", "1000000",
                   "--test-output-size-failed", "1000000"], env=self.test_environment())
        if not junit.exists():
            return 0
        prefix = "" if preset == "ci" else f"{preset}/"
        ran = test_report.read_ctest(junit, reports, prefix)
        print(f"{preset}, {' and '.join(labels)}: {ran.summary()}", flush=True)
        self.report.add(ran)
        return ran.total()

    def entries(self, directory, select):
        listing = subprocess.run(["ctest", "--test-dir", directory, *select, "--show-only"],
                                 capture_output=True, text=True).stdout
        return re.findall(r"^\s*Test\s+#\d+: (\S+)", listing, re.MULTILINE)

    def test_environment(self):
        """Default seeds derive from the commit, so each commit explores others, repeatably."""
        environment = dict(os.environ)
        if "VARVE_SEED" not in environment:
            commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True,
                                    text=True).stdout.strip()
            environment["VARVE_SEED"] = str(int(commit[:8], 16) if commit else 1)
        if self.options.slow:
            environment["VARVE_SLOW"] = "1"
        return environment

    def expect_some(self, ran, label):
        """Nothing to run is fine only while nothing was written."""
        sources = [path for path in ROOT.glob(SOURCES[label]) if path.name != "CMakeLists.txt"]
        if ran == 0 and not sources:
            print(f"nothing to run: {SOURCES[label]} matches no file yet")
        elif ran == 0 and not self.failed_builds:
            self.fail(f"{label}-tests", f"{len(sources)} files match {SOURCES[label]}, none ran")

    def run_counted(self, name, command):
        """A program that may print its own counts; everything it prints is shown as it comes."""
        print("+ " + " ".join(str(word) for word in command), flush=True)
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True,
                                   stderr=subprocess.STDOUT, env=self.test_environment())
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        code = process.wait()
        self.report.add(test_report.read_program("".join(lines), code == 0, code == 77, name))

    # --- stages

    def install(self):
        if not self.call(["scripts/install-packages"]):
            sys.exit("scripts/test: packages are missing; see above")

    def build_ci(self):
        self.build("ci")

    def build_asan(self):
        self.build("asan")

    def build_tsan(self):
        targets = tsan_targets()
        if targets:
            self.build("tsan", targets)
        else:
            print("nothing to build: scripts/tsan_targets.txt lists no target yet")

    def build_sim_release(self):
        self.build_if_written("sim-release", "varve_sim_test", "sim")

    def build_fuzz(self):
        self.build_if_written("fuzz", "varve_fuzzers", "fuzz")

    def build_if_written(self, preset, target, label):
        if list(ROOT.glob(SOURCES[label])):
            self.build(preset, [target])
        else:
            print(f"nothing to build: {SOURCES[label]} matches no file yet")

    def unit(self):
        self.expect_some(self.ctest("ci", ["unit", "conformance"]), "unit")
        self.ctest("asan", ["unit", "conformance"])
        if tsan_targets():
            before = self.report.total()
            self.ctest("tsan", ["unit", "conformance", "sim"], only=tsan_targets())
            if self.report.total() == before and "tsan" not in self.failed_builds:
                self.fail("tsan", "scripts/tsan_targets.txt lists targets, but none of them ran")

    def simulator(self):
        self.expect_some(self.ctest("ci", ["sim"]), "sim")
        self.ctest("asan", ["sim"])
        compare = ROOT / "scripts/compare-sim-hashes"
        if not compare.exists():
            print("no hashes to compare: scripts/compare-sim-hashes does not exist yet")
        elif self.built("ci") and self.built("sim-release"):
            self.run_counted("sim-hashes", [compare, BUILD / "ci", BUILD / "sim-release"])

    def processes(self):
        self.expect_some(self.ctest("ci", ["process"], jobs=1), "process")

    def fuzz(self):
        ran = self.ctest("ci", ["fuzz"])
        self.expect_some(ran, "fuzz")
        if not list(ROOT.glob(SOURCES["fuzz"])) or not self.built("fuzz"):
            return
        fuzzers = sorted(path for path in (BUILD / "fuzz/fuzzers").iterdir()
                         if path.is_file() and os.access(path, os.X_OK))
        total = FUZZ_SECONDS_IN_TOTAL_SLOW if self.options.slow else FUZZ_SECONDS_IN_TOTAL
        for fuzzer in fuzzers:
            self.fuzz_one(fuzzer, max(3, total // len(fuzzers)))
        if not fuzzers:
            self.fail("fuzzers", "the fuzz preset built no fuzzer")

    def fuzz_one(self, fuzzer, seconds):
        """Mutates from the kept corpus on every core; what breaks the target is kept in build/."""
        kept = ROOT / "tests/fuzz/corpus" / fuzzer.name
        found = BUILD / "fuzz/corpus" / fuzzer.name
        crashes = BUILD / "fuzz/crashes"
        found.mkdir(parents=True, exist_ok=True)
        crashes.mkdir(parents=True, exist_ok=True)
        # Relative: with -fork, libFuzzer splits paths at spaces.
        fuzzer, found, crashes = (path.relative_to(ROOT) for path in (fuzzer, found, crashes))
        command = [fuzzer, f"-fork={self.options.jobs}", f"-max_total_time={seconds}",
                   "-timeout=10", "-rss_limit_mb=2048", "-max_len=65536",
                   f"-artifact_prefix={crashes}/{fuzzer.name}-", found]
        command += [kept.relative_to(ROOT)] if kept.is_dir() else []
        if self.call(command, env=dict(os.environ, TMPDIR="build/fuzz/tmp")):
            self.report.passed += 1
        else:
            self.fail(f"fuzz/{fuzzer.name}", f"found a defect; the input is in {crashes}; "
                      f"when fixed, keep it in tests/fuzz/corpus/{fuzzer.name}")

    def check(self):
        self.run_counted("check", ["scripts/check"])


# Stage -> (row of the time table, what it does), in the order in which they run.
STAGES = {
    "install": ("install", Run.install),
    "build-ci": ("build", Run.build_ci),
    "build-asan": ("build", Run.build_asan),
    "build-tsan": ("build", Run.build_tsan),
    "build-sim-release": ("build", Run.build_sim_release),
    "build-fuzz": ("build", Run.build_fuzz),
    "check": ("check", Run.check),
    "unit": ("unit and conformance", Run.unit),
    "sim": ("simulator", Run.simulator),
    "process": ("processes", Run.processes),
    "fuzz": ("fuzz", Run.fuzz),
}


def tsan_targets():
    text = (ROOT / "scripts/tsan_targets.txt").read_text()
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def parse_options(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/test", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Installs what is missing, builds, runs every default test, prints the counts.",
        epilog="stages, in order: " + ", ".join(STAGES) + "\n'build' stands for all builds.\n"
        "Exit code 0: nothing failed, something ran, and no skip that this machine refutes.")
    parser.add_argument("--slow", action="store_true", help="the long tests too")
    parser.add_argument("--stage", nargs="+", default=[], metavar="NAME", action="extend",
                        choices=[*STAGES, "build"], help="only these stages")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N",
                        help="how many programs at once (default: one per core)")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs must be at least 1")
    chosen = options.stage or list(STAGES)
    options.stages = [name for name in STAGES
                      if name in chosen or ("build" in chosen and name.startswith("build-"))]
    return options


def print_times(minutes, slow):
    print(f"\n{'stage':<22}{'minutes':>8}{'budget':>8}")
    for row, budget in BUDGETS.items():
        if row in minutes:
            # The slow tests have no line in the table.
            overrun = "  OVERRUN" if minutes[row] > budget and not slow else ""
            print(f"{row:<22}{minutes[row]:>8.1f}{budget:>8}{overrun}")
    total = f"{sum(minutes.values()):>8.1f}{sum(BUDGETS.values()):>8}"
    print(f"{'total':<22}{total}", flush=True)


def print_report(report):
    """Skips and failures by name; the counts are the last line, alone."""
    offered = test_report.capabilities() if report.skips else {}
    for name, reason in report.skips:
        print(f"SKIPPED {name}: {reason}")
    for name, reason in test_report.forbidden_skips(report.skips, offered):
        report.skips = [skip for skip in report.skips if skip[0] != name]
        report.failures.append((name, reason))
    if report.total() == 0:
        report.failures.append(("scripts/test", "nothing ran"))
    for name, reason in report.failures:
        print(f"FAILED {name}: {reason}")
    print(report.summary(), flush=True)


def main():
    run = Run(parse_options(sys.argv[1:]))
    for name in run.options.stages:
        row, stage = STAGES[name]
        run.headline(f"stage {name}")
        start = time.monotonic()
        stage(run)
        run.minutes[row] = run.minutes.get(row, 0) + (time.monotonic() - start) / 60
    print_times(run.minutes, run.options.slow)
    print_report(run.report)
    return 1 if run.report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
