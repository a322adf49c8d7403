"""docs/raft_traps.md: every known trap of Raft has its row, and every test that a row names exists."""

import re

from check_base import Problem

TABLE = "docs/raft_traps.md"
TRAPS = 51
SCENARIOS = "tests/raft/scenarios/"
# | number | trap | tests |; tests in backquotes, `scenario NAME` or `Suite.Name`; or: issue N; or: open.
ROW = re.compile(r"^\|\s*(\d+)\s*\|([^|]*)\|([^|]*)\|\s*$")
GTEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)


def _existing_tests(tree):
    tests = set()
    for name in tree.files:
        if name.startswith(SCENARIOS) and name.endswith(".raft"):
            tests.add("scenario " + name[len(SCENARIOS):-len(".raft")])
        elif name.startswith("tests/") and name.endswith(".cc"):
            tests.update(".".join(pair) for pair in GTEST.findall(tree.text(name)))
    return tests


def _what_is_wrong(cell, tests):
    named = re.findall(r"`([^`]*)`", cell)
    missing = [test for test in named if test not in tests]
    if missing:
        return f"there is no test `{missing[0]}`; name one that exists"
    if not named and not re.search(r"\bissue \d+\b|\bopen\b", cell):
        return "names neither a test nor an issue, and is not open"
    return None


def check_traps(tree):
    if TABLE not in tree.files:
        return [Problem(TABLE, 1, "traps", "the table of traps is missing")]
    tests = _existing_tests(tree)
    problems, seen = [], set()
    for number, line in enumerate(tree.lines(TABLE), 1):
        row = ROW.match(line)
        if not row:
            continue
        trap = int(row.group(1))
        wrong = f"trap {trap} has a second row" if trap in seen else _what_is_wrong(row.group(3), tests)
        seen.add(trap)
        if wrong:
            problems.append(Problem(TABLE, number, "traps", wrong))
    missing = sorted(set(range(1, TRAPS + 1)) - seen)
    if missing:
        problems.append(Problem(TABLE, 1, "traps", f"no row for trap {', '.join(map(str, missing))}"))
    return problems
