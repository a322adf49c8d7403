"""Words of scripts/vocabulary.txt, and links between documents that lead nowhere."""

import re

from check_base import Problem, allowed, strip_comments_and_strings

TABLE = "scripts/vocabulary.txt"
# The table itself and the planted violations of the self-test have to name what they forbid.
SPEAKS_OF_THEM = {TABLE, "scripts/check_self_test.py"}
NAMED_CODE = (".h", ".cc", ".inc", ".proto", ".py", ".cmake")
NOT_OURS = ("LICENSE", "tests/fuzz/corpus/", "tests/compat/data/")


def read_table(text):
    rows = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            where, rest = line.split(" | ", 1)
            pattern, instead = rest.rsplit(" | ", 1)
            rows.append((where.strip(), re.compile(pattern.strip()), instead.strip()))
    return rows


def _without_words_of_others(code):
    """Identifiers only: no comments, literals or includes."""
    return re.sub(r"^\s*#\s*include[^\n]*", "", strip_comments_and_strings(code), flags=re.MULTILINE)


def _searched_texts(tree, path):
    """WHERE -> the lines of that file in which those rows are searched."""
    text = tree.text(path)
    texts = {"text": text}
    if path.endswith((".h", ".cc", ".inc", ".proto")):
        texts["code"] = text
        texts["name"] = _without_words_of_others(text)
    elif path.endswith(NAMED_CODE) or path.endswith("CMakeLists.txt"):
        texts["name"] = re.sub(r"#[^\n]*|\"[^\"\n]*\"", "", text)
    return {where: text.splitlines() for where, text in texts.items()}


def check_vocabulary(tree):
    rows = read_table(tree.text(TABLE))
    problems = []
    for path in tree.files:
        if path in SPEAKS_OF_THEM or path.startswith(NOT_OURS):
            continue
        for where, pattern, instead in rows:
            found = pattern.search(path) if where == "name" else None
            if found:
                problems.append(Problem(path, 1, "vocabulary", f'file name says "{found.group(0)}"; {instead}'))
        lines = tree.lines(path)
        texts = _searched_texts(tree, path)
        for where, pattern, instead in rows:
            for number, line in enumerate(texts.get(where, ()), 1):
                found = pattern.search(line)
                if found and not allowed(lines, number, "vocabulary"):
                    problems.append(Problem(path, number, "vocabulary", f'"{found.group(0)}"; {instead}'))
    return problems


LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")


def check_links(tree):
    """Relative links of Markdown files name files that exist."""
    problems = []
    for path in tree.files:
        if not path.endswith(".md"):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            for target, _ in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                if not ((tree.root / path).parent / target).exists():
                    problems.append(Problem(path, number, "links", f"{target} does not exist"))
    return problems
