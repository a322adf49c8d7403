"""What all checks share: problems, the files of the tree, C++ without its comments, exceptions.

An exception is a comment `check-allow(RULE): reason` on the line itself or the line above it.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

CPP = (".h", ".cc", ".inc")


@dataclass(frozen=True)
class Problem:
    """One finding: where, which rule, what is wrong and what to do instead."""

    path: str
    line: int
    rule: str
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: [{self.rule}] {self.text}"


class Tree:
    """The files that belong to the project: tracked ones and new ones that are not ignored."""

    def __init__(self, root):
        self.root = Path(root)
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self.root, capture_output=True, check=True).stdout.decode()
        names = sorted(set(name for name in listing.split("\0") if name))
        self.files = [name for name in names if (self.root / name).is_file()]
        self._texts = {}

    def text(self, name):
        """The file's text; empty for a binary one."""
        if name not in self._texts:
            data = (self.root / name).read_bytes()
            binary = b"\0" in data[:8192]
            self._texts[name] = "" if binary else data.decode("utf-8", errors="replace")
        return self._texts[name]

    def lines(self, name):
        return self.text(name).splitlines()

    def cpp(self):
        return [name for name in self.files if name.endswith(CPP)]

    def git(self, *arguments):
        """Output of a git command, or None when it fails."""
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    def base_commit(self):
        """What a change is compared with: where it left origin/main, or the commit before."""
        head = (self.git("rev-parse", "HEAD") or "").strip()
        for arguments in (("merge-base", "HEAD", "origin/main"), ("rev-parse", "-q", "HEAD~1")):
            commit = (self.git(*arguments) or "").strip()
            if commit and commit != head:
                return commit
        return None


def allowed(lines, number, rule):
    """Whether line `number` (from 1) carries an exception for `rule` with a reason."""
    marker = re.compile(r"check-allow\(" + re.escape(rule) + r"\): \S+")
    nearby = lines[max(0, number - 2):number]
    return any(marker.search(line) for line in nearby)


_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"'
    r"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)


def strip_comments_and_strings(text):
    """C++ with comments and literals blanked; line numbers stay."""

    def blank(match):
        token = match.group(0)
        newlines = "\n" * token.count("\n")
        return newlines if token.startswith("/") else '""' + newlines

    return _TOKENS.sub(blank, text)


def strip_preprocessor(text):
    """Blanks #directives with their continuation lines; line numbers stay."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
                  lambda match: "\n" * match.group(0).count("\n"), text, flags=re.MULTILINE)
