"""Counts of a test run: reads ctest's JUnit file and GoogleTest's XML reports.

A GoogleTest binary counts its cases. Anything else counts as one, unless the last line of its output
that reads "N passed, N failed, N skipped" says otherwise; then lines "SKIP: name: reason" and
"FAIL: name: reason" say which.
"""

import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped\s*$", re.MULTILINE)
FAIL_LINE = re.compile(r"^FAIL: (.+)$", re.MULTILINE)
SKIP_LINE = re.compile(r"^SKIP: (.+)$", re.MULTILINE)
NO_REASON = "no reason given"


@dataclass
class Report:
    """What ran so far. Skips and failures are (test, reason)."""

    passed: int = 0
    failures: list = field(default_factory=list)
    skips: list = field(default_factory=list)

    def summary(self):
        return f"{self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped"

    def total(self):
        return self.passed + len(self.failures) + len(self.skips)

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips


def _first_line_after_place(message):
    """GoogleTest puts "file:line" on the first line of a message; the reason follows."""
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    if lines and re.match(r"^\S.*:\d+$", lines[0]):
        lines = lines[1:]
    return " ".join(lines[:2])[:200]


def read_gtest(path, prefix):
    """One GoogleTest XML report. A disabled case is a skip: nothing vanishes silently."""
    report = Report()
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{prefix}{case.get('classname')}.{case.get('name')}"
        failure, skipped = case.find("failure"), case.find("skipped")
        if failure is not None:
            report.failures.append((name, _first_line_after_place(failure.get("message"))))
        elif case.get("status") == "notrun":
            report.skips.append((name, "disabled in the source"))
        elif skipped is not None or case.get("result") == "skipped":
            message = skipped.get("message") if skipped is not None else ""
            report.skips.append((name, _first_line_after_place(message) or NO_REASON))
        else:
            report.passed += 1
    return report


def _split_skip(line, program):
    """ "name: reason" or, from a program that is one test, just the reason."""
    if line.startswith("needs ") or ": " not in line:
        return program, line
    name, reason = line.split(": ", 1)
    return f"{program}: {name}", reason


def read_own_counts(output, name):
    """The counts that a program printed itself, or None."""
    found = COUNTS.findall(output)
    if not found:
        return None
    passed, failed, skipped = (int(number) for number in found[-1])
    reasons = SKIP_LINE.findall(output)[:skipped]
    reasons += [NO_REASON] * (skipped - len(reasons))
    report = Report(passed=passed)
    reasons_to_fail = FAIL_LINE.findall(output)[:failed]
    reasons_to_fail += ["see its output"] * (failed - len(reasons_to_fail))
    report.failures = [(name, reason) for reason in reasons_to_fail]
    report.skips = [_split_skip(reason, name) for reason in reasons]
    return report


def read_program(output, succeeded, was_skipped, name):
    """A test that is not GoogleTest. Exit codes win over what the program claims."""
    report = read_own_counts(output, name)
    if was_skipped:
        reasons = SKIP_LINE.findall(output)
        return Report(skips=[_split_skip(reasons[-1] if reasons else NO_REASON, name)])
    if report is None or report.total() == 0:
        report = Report()
        if succeeded and not re.search(r"^0 passed, 0 failed", output, re.MULTILINE):
            report.passed = 1
        elif succeeded:
            report.failures.append((name, "ran no case"))
    if not succeeded and not report.failures:
        report.failures.append((name, "exit code says it failed; see its output"))
    return report


def read_ctest(junit, reports_dir, prefix):
    """All entries of one ctest run, joined with the GoogleTest reports that they wrote."""
    report = Report()
    for case in ET.parse(junit).getroot().iter("testcase"):
        name = case.get("name")
        status = case.get("status")  # run, fail, notrun, disabled
        output = case.findtext("system-out") or ""
        gtest_file = Path(reports_dir) / f"{name}.xml"
        skipped = case.find("skipped")
        if gtest_file.exists():
            one = read_gtest(gtest_file, f"{prefix}{name}: ")
            if status == "fail" and not one.failures:
                one.failures.append((prefix + name, "failed outside its cases; see its output"))
            if one.total() == 0:
                one.failures.append((prefix + name, "ran no case"))
        elif status in ("notrun", "disabled") and not SKIP_LINE.search(output):
            why = (skipped.get("message") if skipped is not None else "") or status
            one = Report(failures=[(prefix + name, f"did not run: {why}")])
        else:
            one = read_program(output, status == "run", status == "notrun", prefix + name)
        report.add(one)
    return report


def capabilities():
    """What this machine offers to tests, found by trying: reason prefix -> is it here."""
    root = os.geteuid() == 0

    def works(command):
        try:
            return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False

    def loop_mounts():
        with tempfile.TemporaryDirectory() as directory:
            image, mount = Path(directory, "image"), Path(directory, "mount")
            mount.mkdir()
            with image.open("wb") as file:
                file.truncate(4 << 20)
            if not works(["mkfs.ext4", "-q", "-F", str(image)]):
                return False
            # In a mount namespace of its own, so that nothing is left mounted.
            script = f'mount -o loop "{image}" "{mount}" && umount "{mount}"'
            return works(["unshare", "--mount", "sh", "-c", script])

    return {
        "needs root": root,
        "needs namespaces": root and works(["unshare", "--net", "--mount", "true"]),
        "needs loop mounts": root and loop_mounts(),
    }


def forbidden_skips(skips, offered):
    """Skips that count as failures: no reason, or a reason that this machine refutes."""
    forbidden = []
    for name, reason in skips:
        if reason == NO_REASON:
            forbidden.append((name, "skipped without a reason"))
        elif any(there and reason.startswith(need) for need, there in offered.items()):
            forbidden.append((name, f"skipped ({reason}), but this machine has what it needs"))
    return forbidden
