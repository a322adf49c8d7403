"""Include direction and the seams, against scripts/layers.txt."""

import configparser
import re
from fnmatch import fnmatch

from check_base import Problem, allowed, strip_comments_and_strings

TABLE = "scripts/layers.txt"
OURS = ("common", "storage", "raft", "server", "client", "tests")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# rule, pattern, what to do instead. Applied to core code with comments and strings removed.
CORE_RULES = [
    ("thread", r"std::j?thread\b|std::async\b|\bpthread_create\b",
     "core code runs on an Executor (common/executor.h); it starts no thread"),
    ("time", r"\b(system|steady|high_resolution)_clock\b|absl::(Now|SleepFor|GetCurrentTimeNanos)\b"
     r"|\b(clock_gettime|gettimeofday|usleep|nanosleep)\b|sleep_(for|until)\b|(?<!\w)::time\(",
     "take the time from Clock (common/clock.h), and wait with Executor::RunAt"),
    ("random", r"\brandom_device\b|std::mt19937|absl::(BitGen|InsecureBitGen)|\bgetrandom\b"
     r"|(?<![\w:])s?rand\(", "draw from Random (common/random.h)"),
    ("file", r"std::(basic_)?[io]?fstream\b|std::filesystem\b|\bfopen\("
     r"|(?<![\w>.:])::(open|openat|read|pread|write|pwrite|pwritev|fsync|fdatasync|rename|unlink)\(",
     "go through FileSystem (common/file_system.h)"),
    ("environment", r"\b(secure_)?getenv\(", "only the process reads the environment"),
]
LOCK = re.compile(r"std::(recursive_|shared_|timed_)*mutex\b|std::condition_variable"
                  r"|absl::(Mutex|CondVar|Notification|BlockingCounter)\b")
TEST_SLEEP = re.compile(r"sleep_(for|until)\b|absl::SleepFor\b|\b(u|nano)?sleep\(")
HASH_TYPE = re.compile(r"(?:absl::(?:flat|node)_hash_|std::unordered_(?:multi)?)(?:map|set)<")


class Layers:
    def __init__(self, tree):
        table = configparser.ConfigParser(delimiters=("=",), comment_prefixes=("#",),
                                          interpolation=None)
        table.optionxform = str
        table.read_string(tree.text(TABLE))
        self.outside = {name: patterns.split() for name, patterns in table["outside"].items()}
        self.layers = {section.split()[1]: {key: value.split() for key, value in table[section].items()}
                       for section in table.sections() if section.startswith("layer ")}
        self.core = {key: value.split() for key, value in table["core"].items()}
        self.locks = list(table["locks"])

    def of(self, path):
        for name, layer in self.layers.items():
            if any(fnmatch(path, pattern) for pattern in layer["files"]):
                return name
        return None

    def groups(self, header):
        return [name for name, patterns in self.outside.items()
                if any(fnmatch(header, pattern) for pattern in patterns)]

    def is_core(self, path):
        exempt = self.of(path) in self.core["except"] or path in self.core["except"]
        return any(fnmatch(path, pattern) for pattern in self.core["files"]) and not exempt


def resolve(tree, header, includer):
    """The file of ours that an include names, or None."""
    beside = includer.rsplit("/", 1)[0] + "/" + header
    known = set(tree.files)
    for candidate in (header, "client/include/" + header, beside):
        if candidate in known:
            return candidate
    return None


def _include_problem(tree, layers, path, quote, header):
    name = layers.of(path)
    layer = layers.layers[name]
    # <limits.h> is the system's even beside our limits.h; only installed headers go by <varve/...>.
    target = resolve(tree, header, path) if quote == '"' or header.startswith("varve/") else None
    if target is not None:
        if not header.startswith(("tests/", "varve/")) and target != header:
            return f'include "{target}" by its path from the root, not "{header}"'
        other = layers.of(target)
        permitted = layer.get("ours", [])
        if other in (name, *permitted) or ("*" in permitted and other != "tests"):
            return None
        return f"{name} may not include {target} (layer {other}); it may: {' '.join(permitted) or 'only itself'}"
    groups = layers.groups(header)
    permitted = layer.get("outside", [])
    if quote == "<" and not groups and re.fullmatch(r"[a-z_0-9]+", header):
        if header in layer.get("no_std", []):
            return f"{name} may not include <{header}>: {TABLE} says it stays pure"
        return None
    if quote == '"' and header.split("/")[0] in OURS and not groups:
        return f"{header} does not exist"
    if not groups:
        return f"{header} is in no group of {TABLE}; name the dependency there first"
    # Generated gRPC code is also a *.pb.h: the narrower group decides.
    group = "grpc" if "grpc" in groups else groups[0]
    if "*" in permitted or any(one in permitted for one in ([group] if group == "grpc" else groups)):
        return None
    return f"{name} may not include <{header}> ({group}); it may: std {' '.join(permitted)}"


def check_includes(tree):
    layers = Layers(tree)
    problems = []
    for path in tree.cpp():
        if layers.of(path) is None:
            problems.append(Problem(path, 1, "layers", f"belongs to no layer of {TABLE}"))
            continue
        lines = tree.lines(path)
        for number, line in enumerate(lines, 1):
            found = INCLUDE.match(line)
            problem = found and _include_problem(tree, layers, path, *found.groups())
            if problem and not allowed(lines, number, "layers"):
                problems.append(Problem(path, number, "layers", problem))
    return problems


def _hash_names(text):
    """Names of variables and members declared as hash containers."""
    names = set()
    for match in HASH_TYPE.finditer(text):
        depth, position = 1, match.end()
        while depth and position < len(text):
            depth += {"<": 1, ">": -1}.get(text[position], 0)
            position += 1
        name = re.match(r"[&\s]*(\w+)\s*[;={,)]|[&\s]*(\w+)\s+ABSL_", text[position:])
        if name:
            names.add(name.group(1) or name.group(2))
    return names


def _line_problems(path, layers, code, hash_names):
    """(line, rule, text) for each line of core code that reaches around a seam."""
    walk = None
    if hash_names:
        any_name = "|".join(map(re.escape, sorted(hash_names)))
        walk = re.compile(rf"for \(.*: \*?(this->)?({any_name})\)|\b({any_name})\.c?begin\(\)")
    for number, line in enumerate(code.splitlines(), 1):
        for rule, pattern, instead in CORE_RULES:
            if re.search(pattern, line):
                yield number, rule, instead
        if LOCK.search(line) and not any(fnmatch(path, pattern) for pattern in layers.locks):
            yield number, "lock", f"state belongs to one executor; a lock needs a line in {TABLE}"
        if walk and walk.search(line):
            yield number, "hash-order", "the order of a hash container differs per run; sort or use a map"


def check_seams(tree):
    layers = Layers(tree)
    problems = []
    for path in tree.cpp():
        code = strip_comments_and_strings(tree.text(path))
        found = []
        if layers.is_core(path):
            header = re.sub(r"\.cc$", ".h", path)
            text = code if header == path or header not in tree.files else (
                code + strip_comments_and_strings(tree.text(header)))
            found = list(_line_problems(path, layers, code, _hash_names(text)))
        elif path.startswith("tests/"):
            found = [(number, "sleep", "wait for the event, not for time to pass")
                     for number, line in enumerate(code.splitlines(), 1) if TEST_SLEEP.search(line)]
        lines = tree.lines(path)
        problems += [Problem(path, number, rule, text) for number, rule, text in found
                     if not allowed(lines, number, rule)]
    problems += [Problem(TABLE, 1, "lock", f"[locks] names {pattern}, which matches no file")
                 for pattern in layers.locks if not any(fnmatch(path, pattern) for path in tree.files)]
    return problems
