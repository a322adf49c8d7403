"""A check that cannot fail is a defect: plants one violation of each rule in a small tree of its own,
expects exactly that rule to find it there, and expects the clean tree to pass.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import check_compiled
import check_layers
import check_sizes
import check_text
import check_traps
from check_base import Problem, Tree

HERE = Path(__file__).resolve().parent

GUARDED = "#ifndef VARVE_X_H_\n#define VARVE_X_H_\n\n{}\n#endif  // VARVE_X_H_\n"

# A tree that every rule accepts, each file close to the border of one.
CLEAN = {
    "common/types.h": GUARDED.format("#include <cstdint>\nusing Offset = int64_t;\n"),
    "common/types.cc": '#include "common/types.h"\n',
    "common/real_clock.cc": "#include <chrono>\nauto Now() { return std::chrono::steady_clock::now(); }\n",
    "storage/log.cc": '#include <random>\n\n#include "common/types.h"\n\n// std::thread, std::mutex: only words here.\n'
                      "// check-allow(random): an exception with a reason is accepted\n"
                      "std::random_device device;\n\nint utilization;\n",
    "raft/core/core.cc": '#include "common/types.h"\n',
    "server/rpc/adapter.cc": '#include <grpcpp/grpcpp.h>\n\n#include "storage/log.h"\n',
    "storage/log.h": GUARDED.format('#include "common/types.h"\n'),
    "tests/storage/log_test.cc": '#include <thread>\n\n#include "storage/log.h"\n',
    "docs/a.md": "[b](b.md), see the last stable offset\n",
    "docs/b.md": "the log end offset\n",
    "tests/raft/core_test.cc": "TEST(CoreTest, Holds) {}\n",
    "tests/raft/scenarios/story.raft": "nodes 1\n",
    "raft/core/defect.h": GUARDED.format("#include <cstdint>\nenum class Defect : uint8_t {\n  kNone,\n"
                                         "  kVoteTwice,  // in one term\n  kTimersOf32Bits,\n};\n"),
    "tests/sim/raft/defect_names.cc": 'constexpr const char* kDefectNames[3] = {"none", "vote-twice", '
                                      '"timers-of-32-bits"};\n',
    "docs/raft_traps.md": "| 1 | a | `vote-twice` | `CoreTest.Holds`, `scenario story` |\n"
                          "| 26 | b | | issue 3 |\n"
                          + "".join(f"| {trap} | c | `timers-of-32-bits` | open |\n"
                                    for trap in range(2, 52) if trap != 26),
}


def _long_function(lines):
    return "Offset::Offset() : a_{1} {\n" + "  ++a_;\n" * (lines - 2) + "}\n"


# rule, file, what is appended to it (after a blank line), and for some what the finding must say.
PLANTED = [
    ("layers", "common/types.cc", '#include "storage/log.h"\n'),
    ("layers", "common/types.cc", "#include <rocksdb/db.h>\n"),
    ("layers", "common/types.cc", "#include <never_heard_of/it.h>\n"),
    ("layers", "raft/core/core.cc", "#include <chrono>\n"),
    ("layers", "raft/core/core.cc", '#include "storage/log.h"\n'),
    ("layers", "storage/log.cc", "#include <grpcpp/grpcpp.h>\n"),
    ("layers", "storage/log.cc", '#include "varve/v1/log.grpc.pb.h"\n'),
    ("layers", "storage/log.cc", '#include "log.h"\n'),
    ("layers", "server/rpc/adapter.cc", '#include "tests/storage/log_test.cc"\n'),
    ("layers", "nowhere/new.cc", "int a;\n"),
    ("thread", "storage/log.cc", "std::thread runner;\n"),
    ("time", "storage/log.cc", "auto now = std::chrono::system_clock::now();\n"),
    ("time", "raft/core/core.cc", "void Wait() { std::this_thread::sleep_for(a); }\n"),
    ("random", "storage/log.cc", "std::random_device device;\n"),
    ("file", "storage/log.cc", 'int fd = ::open("x", 0);\n'),
    ("environment", "storage/log.cc", 'auto home = getenv("HOME");\n'),
    ("lock", "storage/log.cc", "std::mutex mutex;\n"),
    ("hash-order", "storage/log.cc",
     "absl::flat_hash_map<int, std::vector<int>> map_;\nvoid F() {\n  for (auto& [k, v] : map_) G(k);\n}\n"),
    ("sleep", "tests/storage/log_test.cc", "void F() { std::this_thread::sleep_for(a); }\n"),
    ("vocabulary", "docs/a.md", "the LSO\n"),
    ("vocabulary", "docs/a.md", "the low watermark\n"),
    ("vocabulary", "docs/a.md", "a slave\n"),
    ("vocabulary", "docs/a.md", "in /work/x\n"),
    ("vocabulary", "storage/log.cc", "class LogHelper;\n"),
    ("vocabulary", "storage/log.cc", "// TODO: later\n"),
    ("vocabulary", "storage/log_utils.cc", "int a;\n"),
    ("links", "docs/a.md", "[gone](gone.md)\n"),
    ("traps", "docs/raft_traps.md", "| 51 | x | | open |\n", "second row"),
    ("traps", "docs/raft_traps.md", "| 52 | x | | `CoreTest.Gone` |\n", "CoreTest.Gone"),
    ("traps", "docs/raft_traps.md", "| 52 | x | | `scenario gone` |\n", "scenario gone"),
    ("traps", "docs/raft_traps.md", "| 52 | x | | later |\n", "neither"),
    ("traps", "docs/raft_traps.md", "| 52 | x | `vote-thrice` | open |\n", "vote-thrice"),
    ("traps", "docs/raft_traps.md", "| 52 | x | | open |\n", "name the defect"),
    ("traps", "tests/sim/raft/defect_names.cc", 'constexpr const char* kDefectNames[1] = {"other"};\n',
     "stands where"),
    ("size", "storage/log.cc", "int a;\n" * 701),
    ("size", "storage/log.cc", _long_function(71)),
    ("size", "scripts/a.py", "def f():\n" + "    g()\n" * 70),
    ("size", "scripts/size_ratchet.txt", "storage/log.cc 900\n", "remove its line"),
    ("size", "scripts/size_ratchet.txt", "storage/log.cc 900\n", "may only shrink"),
    ("random", "storage/log.cc", "// check-allow(random):\nstd::random_device second;\n"),
    ("format", "storage/log.cc", "int   a  ;\n"),
    ("self-contained", "storage/log.h", "inline std::string Name();\n"),
    ("self-contained", "storage/log.h", '#include "storage/gone.h"\n'),
    ("lint", "storage/log.cc", "struct A {\n  A(int);\n};\n", "explicit"),
]


def _write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _make_tree(root):
    subprocess.run(["git", "init", "--quiet", root], check=True)
    for name, text in CLEAN.items():
        _write(root, name, text)
    for name in ("layers.txt", "vocabulary.txt"):
        _write(root, f"scripts/{name}", (HERE / name).read_text())
    # The files that the real table names do not exist here.
    table = root / check_layers.TABLE
    table.write_text(table.read_text().split("[locks]")[0] + "[locks]\n")
    _write(root, check_sizes.RATCHET, "# none\n")
    for name in (".clang-format", ".clang-tidy"):
        shutil.copy(HERE.parent / name, root / name)
    identity = ["-c", "user.name=check", "-c", "user.email=check@localhost"]
    for message in ("base", "head"):  # the ratchet compares with the commit before
        subprocess.run(["git", "-C", root, "add", "."], check=True)
        subprocess.run(["git", "-C", root, *identity, "commit", "--quiet", "--allow-empty",
                        "--no-verify", "--message", message], check=True)


def _commands(root):
    return [{"directory": str(root), "file": "storage/log.cc",
             "command": f"g++ -std=c++20 -I '{root}' -c storage/log.cc"}]


def _all_problems(root, rule, work):
    """What every check says. The compiler's checks run only for their own rules: they are slow."""
    tree = Tree(root)
    problems = check_layers.check_includes(tree) + check_layers.check_seams(tree)
    problems += check_text.check_vocabulary(tree) + check_text.check_links(tree)
    problems += check_traps.check_traps(tree)
    problems += check_sizes.check_sizes(tree)[0]
    if rule in ("format", None):
        problems += check_compiled.check_format(tree)
    if rule in ("self-contained", None):
        headers = [name for name in tree.files if not name.startswith("server/")]
        tree.files = headers
        problems += check_compiled.check_headers(tree, _commands(root), work / "headers")
    if rule in ("lint", None):
        found, late = check_compiled.check_lint(tree, _commands(root), work / "tidy",
                                                {"storage/log.cc"}, 300)
        problems += found + [Problem(name, 1, "lint", "not reached in time") for name in late]
    return problems


def _plant(root, work, rule, name, text, says=""):
    """Returns what is wrong with the rule, or None."""
    path = root / name
    before = path.read_text() if path.exists() else None
    _write(root, name, (before + "\n" if before else "") + text)
    found = _all_problems(root, rule, work)
    if before is None:
        path.unlink()
    else:
        path.write_text(before)
    if any((one.rule, one.path) == (rule, name) and says in one.text for one in found):
        return None
    return Problem(f"rule {rule}", 0, "self-test", f"did not see in {name}: {text.splitlines()[0]}"
                   f" (but: {', '.join(map(str, found)) or 'nothing'})")


def run():
    failures = []
    with tempfile.TemporaryDirectory(prefix="varve check ") as directory:
        root, work = Path(directory, "tree"), Path(directory, "output")
        _make_tree(root)
        failures += [Problem("clean tree", 0, "self-test", f"should pass, but: {problem}")
                     for problem in _all_problems(root, None, work)]
        for planted in PLANTED:
            failure = _plant(root, work, *planted)
            failures += [failure] if failure else []
    print(f"self-test: {len(PLANTED)} violations planted, {len(failures)} problems")
    return failures
