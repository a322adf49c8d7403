"""docs/raft_traps.md: every known trap of Raft has its row, and every test and defect that it names exists."""

import itertools
import re

from check_base import Problem

TABLE = "docs/raft_traps.md"
TRAPS = 51
# Their guards are of storage, the codec or the shell: no defect of raft/core removes them.
OUTSIDE_THE_CORE = {26, 33, 38, 42, 43, 44, 47, 48, 49, 51}
SCENARIOS = "tests/raft/scenarios/"
DEFECTS = "raft/core/defect.h"
NAMES = "tests/sim/raft/defect_names.cc"
# | number | trap | defects | tests |; defects and tests in backquotes; tests are `scenario NAME` or
# `Suite.Name`; or: issue N; or: open.
ROW = re.compile(r"^\|\s*(\d+)\s*\|([^|]*)\|([^|]*)\|([^|]*)\|\s*$")
GTEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)


def _existing_tests(tree):
    tests = set()
    for name in tree.files:
        if name.startswith(SCENARIOS) and name.endswith(".raft"):
            tests.add("scenario " + name[len(SCENARIOS):-len(".raft")])
        elif name.startswith("tests/") and name.endswith(".cc"):
            tests.update(".".join(pair) for pair in GTEST.findall(tree.text(name)))
    return tests


def _existing_defects(tree):
    """kVoteTwice is vote-twice."""
    if DEFECTS not in tree.files:
        return []
    listed = re.search(r"enum class Defect[^{]*\{(.*?)\n\};", tree.text(DEFECTS), re.DOTALL)
    names = re.findall(r"^\s*k(\w+),", listed.group(1), re.MULTILINE) if listed else []
    return [re.sub(r"(?<!^)([A-Z]|(?<!\d)\d)", r"-\1", name).lower() for name in names]


def _what_is_wrong(trap, cells, tests, defects):
    removed, shown = (re.findall(r"`([^`]*)`", cell) for cell in cells)
    missing = [test for test in shown if test not in tests]
    if missing:
        return f"there is no test `{missing[0]}`; name one that exists"
    unknown = [defect for defect in removed if defect not in defects]
    if unknown:
        return f"{DEFECTS} has no defect `{unknown[0]}`"
    if not shown and not re.search(r"\bissue \d+\b|\bopen\b", cells[1]):
        return "names neither a test nor an issue, and is not open"
    if not removed and trap not in OUTSIDE_THE_CORE:
        return f"trap {trap} is of the core: name the defect that removes its guard"
    return None


def _check_names(tree, defects):
    """The names that tests and documents use are those of the enumeration, in its order."""
    if NAMES not in tree.files:
        return []
    lists = re.findall(r"kDefectNames\[\w+\]\s*=\s*\{(.*?)\};", tree.text(NAMES), re.DOTALL)
    names = re.findall(r'"([^"]*)"', "".join(lists))
    for name, expected in itertools.zip_longest(names, defects, fillvalue="nothing"):
        if name != expected:
            return [Problem(NAMES, 1, "traps", f"`{name}` stands where {DEFECTS} has `{expected}`")]
    return []


def check_traps(tree):
    if TABLE not in tree.files:
        return [Problem(TABLE, 1, "traps", "the table of traps is missing")]
    tests, defects = _existing_tests(tree), _existing_defects(tree)
    problems, seen = _check_names(tree, defects), set()
    for number, line in enumerate(tree.lines(TABLE), 1):
        row = ROW.match(line)
        if not row:
            continue
        trap = int(row.group(1))
        wrong = (f"trap {trap} has a second row" if trap in seen
                 else _what_is_wrong(trap, row.groups()[2:], tests, defects))
        seen.add(trap)
        if wrong:
            problems.append(Problem(TABLE, number, "traps", wrong))
    missing = sorted(set(range(1, TRAPS + 1)) - seen)
    if missing:
        problems.append(Problem(TABLE, 1, "traps", f"no row for trap {', '.join(map(str, missing))}"))
    return problems
