"""Size ratchet: warns at 450 lines a file and 45 a function, fails above 700 and 70.

Generated code is not in the tree. What is longer already stands in scripts/size_ratchet.txt and may
only shrink. Function lengths come from braces, which is exact enough on formatted code.
"""

import ast
import re

from check_base import Problem, strip_comments_and_strings, strip_preprocessor

RATCHET = "scripts/size_ratchet.txt"
FILE_WARN, FILE_FAIL = 450, 700
FUNCTION_WARN, FUNCTION_FAIL = 45, 70
SCOPE = re.compile(r"^\s*(template\s*<.*>\s*)?(inline\s+)?(extern\b(?!.*\()|namespace\b|class\b|struct\b"
                   r"|union\b|enum\b)", re.DOTALL)


class _Braces:
    """Follows braces and the text in front of each, outside of functions ("head")."""

    def __init__(self):
        self.open = []  # (kind, line of the head, head) per open brace
        self.restart(1)
        self.parens = 0

    def restart(self, line):
        self.head, self.head_line = "", line

    def in_body(self):
        return any(kind in ("function", "other") for kind, _, _ in self.open)

    def kind_of(self, previous):
        if self.in_body() or self.parens > 0 or re.match(r"[\w>]", previous):
            return "part"  # of an expression or a body: `member_{1}`, `= {}` in parameters
        if SCOPE.match(self.head) and not re.search(r"\)\s*(const|noexcept|override|\s)*$", self.head):
            return "scope"
        return "function" if "(" in self.head else "other"

    def take(self, char, line):
        if not self.head.strip():
            self.restart(line)
        self.head += char
        if char in "()" and not self.in_body():
            self.parens += 1 if char == "(" else -1
        elif char == ";" and not self.in_body() and self.parens == 0:
            self.restart(line)


def cpp_functions(text):
    """(name, first line, length) of each function of formatted C++; lambdas inside do not count."""
    code = strip_preprocessor(strip_comments_and_strings(text))
    braces, line = _Braces(), 1
    for position, char in enumerate(code):
        line += char == "\n"
        if char == "{":
            kind = braces.kind_of(code[position - 1] if position else " ")
            braces.open.append((kind, braces.head_line, braces.head))
            if kind == "scope":
                braces.restart(line)
        elif char == "}" and braces.open:
            kind, first, head = braces.open.pop()
            if kind == "function":
                yield _function_name(head), first, line - first + 1
            if kind != "part":
                braces.restart(line)
        else:
            braces.take(char, line)


def _function_name(head):
    test = re.search(r"\b(TEST(?:_[FP])?|TYPED_TEST(?:_P)?)\s*\(\s*(\w+)\s*,\s*(\w+)", head)
    if test:
        return f"{test.group(2)}.{test.group(3)}"
    name = re.search(r"([\w:~]+|operator\S+)\s*\(", head)
    return name.group(1) if name else "?"


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def language(tree, path):
    if path.endswith((".h", ".cc", ".inc")):
        return "cpp"
    first = tree.text(path).split("\n", 1)[0]
    if path.endswith(".py") or (first.startswith("#!") and "python" in first):
        return "python"
    if path.endswith(".sh") or (first.startswith("#!") and re.search(r"\b(ba)?sh\b", first)):
        return "shell"
    return "cmake" if path.endswith((".cmake", "CMakeLists.txt")) else None


def _measure(tree, path):
    """(key, line, length, warn, fail) for the file and each of its functions."""
    kind = language(tree, path)
    if kind is None:
        return
    text = tree.text(path)
    yield path, 1, len(text.splitlines()), FILE_WARN, FILE_FAIL
    functions = {"cpp": cpp_functions, "python": python_functions}.get(kind)
    for name, line, length in functions(text) if functions else ():
        yield f"{path}:{name}", line, length, FUNCTION_WARN, FUNCTION_FAIL


def read_ratchet(text):
    entries = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            key, lines = line.rsplit(None, 1)
            entries[key] = int(lines)
    return entries


def check_sizes(tree):
    """(problems, warnings)."""
    recorded = read_ratchet(tree.text(RATCHET))
    problems, warnings, used = [], [], set()
    for path in tree.files:
        for key, line, length, warn, fail in _measure(tree, path):
            what = f"{key} has {length} lines"
            if key in recorded and length > fail:
                used.add(key)
                if length != recorded[key]:
                    todo = "shorten it" if length > recorded[key] else "record the progress there"
                    problems.append(Problem(path, line, "size", f"{what}, {RATCHET} says "
                                            f"{recorded[key]}; {todo}"))
            elif length > fail:
                problems.append(Problem(path, line, "size", f"{what}; the limit is {fail}: split it by role"))
            elif length > warn:
                warnings.append(Problem(path, line, "size", f"{what}; think of splitting above {warn}"))
    problems += [Problem(RATCHET, 1, "size", f"{key} is no longer too long; remove its line")
                 for key in recorded if key not in used]
    return problems + _grown_entries(tree, recorded), warnings


def _grown_entries(tree, recorded):
    base = tree.base_commit()
    before = tree.git("show", f"{base}:{RATCHET}") if base else None
    if before is None:
        return []
    old = read_ratchet(before)
    return [Problem(RATCHET, 1, "size", f"{key} {lines}: entries may only shrink (was {old.get(key, 'absent')})")
            for key, lines in recorded.items() if lines > old.get(key, 0)]
