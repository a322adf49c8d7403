"""Checks that need a compiler: format, lint, and headers that compile alone.

The flags come from compile_commands.json of a configured build (build/ci), without precompiled
headers, which would hide a missing include.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_base import Problem
from check_layers import INCLUDE, resolve

PLACE = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):\d+: (?:fatal )?(?:error|warning): (?P<text>.*)$",
                   re.MULTILINE)


class MissingTool(Exception):
    """A check could not run; the text says what to do."""


def tool(name):
    found = shutil.which(name)
    if not found:
        raise MissingTool(f"{name} is not installed; run scripts/install-packages check")
    return found


def in_parallel(work, items):
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return list(pool.map(work, items))


def _relative(tree, path):
    try:
        return str(Path(path).resolve().relative_to(tree.root.resolve()))
    except ValueError:
        return path


def check_format(tree):
    formatter = tool("clang-format-14")
    files = [name for name in tree.files if name.endswith((".h", ".cc"))]

    def one(name):
        done = subprocess.run([formatter, "--dry-run", "-Werror", name], cwd=tree.root,
                              capture_output=True, text=True)
        found = PLACE.search(done.stderr)
        if done.returncode == 0:
            return None
        line = int(found.group("line")) if found else 1
        return Problem(name, line, "format", f"not formatted; run: clang-format-14 -i {name}")

    return [problem for problem in in_parallel(one, files) if problem]


# --- flags


def ensure_commands(tree, build):
    """Configures build/ci when needed and generates the protobuf headers; returns its commands."""
    database = build / "compile_commands.json"
    if not database.exists():
        done = subprocess.run(["cmake", "--preset", "ci", "--log-level=NOTICE"], cwd=tree.root)
        if done.returncode or not database.exists():
            raise MissingTool("cmake --preset ci failed; its message is above")
    listing = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], capture_output=True,
                             text=True).stdout
    generated = re.findall(r"^(\S+\.pb\.h):", listing, re.MULTILINE)
    if generated:
        subprocess.run(["ninja", "-C", build, "--quiet", *generated], check=False)
    return json.loads(database.read_text())


def plain_flags(command):
    """Preprocessor and language flags of one compile command."""
    words = shlex.split(command)
    flags, index = [], 0
    while index < len(words):
        word = words[index]
        if word in ("-isystem", "-I"):
            flags += [word, words[index + 1]]
            index += 1
        elif word.startswith(("-I", "-D", "-std=")):
            flags.append(word)
        index += 1
    return flags


def _flags_by_directory(tree, commands):
    """Top directory -> flags of all its files together, for headers that have no command."""
    flags = {}
    for entry in commands:
        path = _relative(tree, Path(entry["directory"], entry["file"]))
        if not path.startswith(("build/", "/")):
            directory = flags.setdefault(path.split("/")[0], [])
            pairs = iter(plain_flags(entry["command"]))
            for word in pairs:
                group = [word, next(pairs)] if word in ("-isystem", "-I") else [word]
                if " ".join(group) not in [" ".join(known) for known in directory]:
                    directory.append(group)
    return {name: [word for group in groups for word in group] for name, groups in flags.items()}


# --- headers


def _closure(tree, path, seen):
    """The header and every file of ours that it includes, directly or not."""
    if path in seen:
        return
    seen.add(path)
    for line in tree.lines(path):
        found = INCLUDE.match(line)
        target = found and resolve(tree, found.group(2), path)
        if target:
            _closure(tree, target, seen)


def _cache_key(tree, path, flags):
    seen = set()
    _closure(tree, path, seen)
    digest = hashlib.sha256(repr(flags).encode())
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + tree.text(name).encode() + b"\0")
    return digest.hexdigest()


def check_headers(tree, commands, cache):
    """Every header compiles alone. A header that did is remembered by the content it depends on."""
    cache.mkdir(parents=True, exist_ok=True)
    by_directory = _flags_by_directory(tree, commands)
    compiler = os.environ.get("CXX", "g++")

    def one(path):
        flags = by_directory.get(path.split("/")[0], ["-std=c++20", "-I", str(tree.root)])
        mark = cache / _cache_key(tree, path, flags)
        if mark.exists():
            return None
        done = subprocess.run([compiler, "-fsyntax-only", "-w", "-x", "c++", *flags, path],
                              cwd=tree.root, capture_output=True, text=True)
        if done.returncode == 0:
            mark.touch()
            return None
        found = PLACE.search(done.stderr)
        text = found.group("text") if found else done.stderr.strip()[:200]
        where = f" (in {_relative(tree, found.group('path'))})" if found else ""
        return Problem(path, int(found.group("line")) if found else 1, "self-contained",
                       f"does not compile alone{where}: {text}; include what it uses")

    headers = [name for name in tree.files if name.endswith(".h")]
    return [problem for problem in in_parallel(one, headers) if problem]


# --- lint


def changed_files(tree):
    """Files that differ from where this change began, committed or not."""
    base = tree.base_commit()
    names = set((tree.git("diff", "--name-only", base, "--") or "").split("\n")) if base else set(tree.files)
    names |= set((tree.git("ls-files", "--others", "--exclude-standard") or "").split("\n"))
    return names


def _tidy_database(commands, directory):
    """clang-tidy cannot read gcc's precompiled headers, and needs no compiler cache."""
    directory.mkdir(parents=True, exist_ok=True)
    entries = [{"directory": entry["directory"], "file": entry["file"],
                "arguments": ["clang++", *plain_flags(entry["command"]), "-c", entry["file"]]}
               for entry in commands]
    (directory / "compile_commands.json").write_text(json.dumps(entries))


def check_lint(tree, commands, directory, chosen, seconds):
    """clang-tidy on the .cc files in `chosen`. Returns (problems, files not reached in time)."""
    tidy = tool("clang-tidy-14")
    _tidy_database(commands, directory)
    known = {_relative(tree, Path(entry["directory"], entry["file"])) for entry in commands}
    files = [name for name in tree.files if name in chosen and name in known]
    deadline = time.monotonic() + seconds

    def one(path):
        if time.monotonic() > deadline:
            return None
        done = subprocess.run([tidy, "--quiet", "-p", directory, path], cwd=tree.root,
                              capture_output=True, text=True)
        found = [Problem(_relative(tree, match.group("path")), int(match.group("line")), "lint",
                         match.group("text")) for match in PLACE.finditer(done.stdout)]
        if done.returncode and not found:
            found = [Problem(path, 1, "lint", f"clang-tidy failed: {done.stderr.strip()[-300:]}")]
        return found

    results = in_parallel(one, files)
    skipped = [name for name, result in zip(files, results) if result is None]
    problems = {problem for result in results for problem in result or ()}
    return sorted(problems, key=str), skipped
