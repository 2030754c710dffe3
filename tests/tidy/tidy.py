#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The house rules that a machine can check: who may include whom, what a pure library must not
touch, and the plain ones (length, licence line, leftovers). See tests/tidy/README.md.

Prints FILE:LINE: RULE: what is wrong; exit code 1 when anything is."""

import ast
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOMAINS = ("election", "vip", "health", "router")
MAX_COLUMNS = 100
MAX_LINES = 600
FUNCTION_HINT = 70
FUNCTION_LIMIT = 120

# Who may include whom: the first pattern that matches a file's path decides; the second pattern is
# what its "…" includes may start with. Both are regular expressions on paths from the root.
LAYERS = [
    (r"base/(mysql|process)/", r"base/"),
    (r"base/", r"base/(?!mysql/|process/)"),
    *((rf"{room}/(io|gate)/", rf"(base|{room})/") for room in DOMAINS),
    *((rf"{room}/", rf"(base/(?!process/|mysql/(?!failure\.hpp))|{room}/(?!io/|gate/))")
      for room in DOMAINS),
    (r"agent/", r"(base|agent|election|vip|health|router)/"),
    (r"tests/(sim|scenarios|property)/",
     r"(base/(?!mysql/|process/)|(election|vip|health|router)/(?!io/|gate/)"
     r"|tests/(sim|scenarios|property)/)"),
    (r"tests/lab/", r"(base/(?!mysql/)|tests/lab/)"),
    (r"tests/", r"(base|agent|election|vip|health|router|tests)/"),
]

# Pure libraries: no Asio, logging, sockets, kernel, threads, files, or randomness of their own.
# vip/gate is the part of vip/io that talks to BPF.
PURE = re.compile(r"(base/(?!process/|mysql/(?!failure\.hpp))"
                  r"|(election|vip|health|router)/(?!io/|gate/)|tests/sim/)")
BANNED_HEADERS = re.compile(
    r"boost/(asio|beast)|spdlog/|sys/|net/|netinet/|arpa/|linux/|netlink/|bpf/|libmnl/|libnftnl/"
    r"|libnetfilter|mariadb/|mysql|thread$|mutex$|shared_mutex$|condition_variable$|future$|atomic$"
    r"|stop_token$|semaphore$|iostream$|fstream$|random$|unistd\.h$|poll\.h$|fcntl\.h$|signal\.h$"
    r"|csignal$|pthread\.h$|ctime$|time\.h$|filesystem$")
BANNED_CALLS = re.compile(
    r"\b(clock_gettime|gettimeofday|nanosleep|sleep_for|sleep_until|usleep|getenv|random_device"
    r"|(steady|system|high_resolution)_clock|BootClock::now|std::time|std::thread|std::cout"
    r"|std::cerr)\b")
MUTABLE_STATIC = re.compile(r"^\s*(static|thread_local)\s+(?!constexpr|const\b|inline constexpr)"
                            r"[^(]*(=|;|\{)")
# Where the edges of the pure world are, on purpose.
ALLOWED = {
    ("base/net/address.cpp", "arpa/inet.h"),
    ("base/unique_fd.hpp", "unistd.h"),
    ("base/clock.cpp", "ctime"),
    ("base/clock.cpp", "time.h"),
    ("base/clock.cpp", "clock_gettime"),
    ("base/clock.cpp", "BootClock::now"),
}
# The simulator's own command line talks to people.
TALKS = re.compile(r"tests/sim/")
TALKING = re.compile(r"iostream$|fstream$|atomic$|thread$|csignal$|unistd\.h$"
                     r"|std::(cout|cerr|thread)")

CPP = (".cpp", ".hpp", ".h", ".c")
CODE = (*CPP, ".py", ".sh", ".cmake")
LEFTOVER = re.compile(r"\b(" + "TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
WORKPLACE = "/" + "work" + "/"
# What other tools generate and nobody edits.
GENERATED = re.compile(r"(^|/)vmlinux\.h$")


def layer(path):
    return next((allowed for own, allowed in LAYERS if re.match(own, path)), None)


def strip_comments(text):
    """Blanks comments and string contents of C++, keeping lines and columns."""
    def blank(found):
        piece = found.group(0)
        if piece.startswith("/"):
            return re.sub(r"[^\n]", " ", piece)
        return '"' + re.sub(r"[^\n]", " ", piece[1:-1]) + '"'
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def check_includes(path, text):
    allowed = layer(path)
    pure = PURE.match(path)
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not found:
            continue
        kind, target = found.groups()
        # Generated skeletons have no folder.
        if kind == '"' and allowed and "/" in target and not re.match(allowed, target):
            yield number, "layers", f"{path} may not include {target}"
        if pure and kind == "<" and BANNED_HEADERS.match(target) and not exempt(path, target):
            yield number, "pure", f"a pure library may not include <{target}>"


def exempt(path, what):
    """What runs in the kernel, the edges of the pure world, and the simulator's main()."""
    if path.endswith(".bpf.c"):
        return True
    return (path, what) in ALLOWED or (TALKS.match(path) and TALKING.match(what))


def check_pure(path, text):
    if not PURE.match(path):
        return
    for number, line in enumerate(strip_comments(text).splitlines(), 1):
        for found in BANNED_CALLS.finditer(line):
            if not exempt(path, found[0]) and not (
                    path == "base/clock.hpp" and found[0] == "BootClock::now"):
                yield number, "pure", f"a pure library may not use {found[0]}"
        if MUTABLE_STATIC.match(line):
            yield number, "pure", "a pure library has no statics"


def cpp_functions(text):
    """(first line, length) of definitions at the left margin: good enough behind clang-format."""
    lines = strip_comments(text).splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and re.match(r"[A-Za-z_~\[:<].*\{$", line) and not re.match(
                r"(namespace|class|struct|enum|union|extern|template|inline namespace)\b", line):
            start = number
        elif start is not None and line.startswith("}"):
            if ";" not in line:
                yield start, number - start + 1
            start = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno + 1


def check_lengths(path, text):
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        yield len(lines), "length", f"{len(lines)} lines; at most {MAX_LINES}"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            yield number, "columns", f"{len(line)} columns; at most {MAX_COLUMNS}"
        if line != line.rstrip():
            yield number, "blanks", "white space at the end of the line"
    functions = cpp_functions(text) if path.endswith(CPP) else (
        python_functions(text) if is_python(path, text) else ())
    for number, length in functions:
        if length > FUNCTION_LIMIT:
            yield number, "function", f"{length} lines; about {FUNCTION_HINT} is the rule"
        elif length > FUNCTION_HINT:
            yield number, "hint", f"a function of {length} lines; about {FUNCTION_HINT} is the rule"


def is_python(path, text):
    return path.endswith(".py") or re.match(r"#!.*python", text) is not None


def is_bash(path, text):
    return path.endswith(".sh") or re.match(r"#!.*\bbash\b", text) is not None


def is_code(path, text):
    return path.endswith(CODE) or path.endswith("CMakeLists.txt") or text.startswith("#!")


def check_text(path, text):
    """All rules on one file: yields (line, rule, what)."""
    for number, line in enumerate(text.splitlines(), 1):
        if WORKPLACE in line:
            yield number, "paths", "a path of somebody's machine"
    if not is_code(path, text) or GENERATED.search(path):
        return
    if not any("SPDX-License-Identifier: GPL-2.0-or-later" in line
               for line in text.splitlines()[:3]):
        yield 1, "licence", "no SPDX line at the top"
    for number, line in enumerate(text.splitlines(), 1):
        if LEFTOVER.search(line):
            yield number, "leftover", "do it, or write it down in docs/"
    yield from check_lengths(path, text)
    guarded = "#pragma once" in text or (path.endswith(".h") and "#ifndef" in text)
    if path.endswith((".hpp", ".h")) and not guarded:
        yield 1, "pragma", "no #pragma once"
    if path.endswith(CPP):
        yield from check_includes(path, text)
        yield from check_pure(path, text)


def check_bash(root, path):
    done = subprocess.run(["bash", "-n", str(root / path)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        yield 1, "bash", done.stderr.strip()


def check_readmes(paths):
    """Each folder with C++ has a README.md, but for the parts of a program and the unit tests."""
    exempted = re.compile(r"tests/unit/.+|tests/lab/tool|base/net")
    folders = {os.path.dirname(p) for p in paths if p.endswith((".cpp", ".hpp"))}
    for folder in sorted(folders):
        if folder and not exempted.fullmatch(folder) and f"{folder}/README.md" not in paths:
            yield f"{folder}/README.md", "readme", "missing: purpose, contract, where to start"


def tracked(root):
    """The project's files: git's, or without git all but the build."""
    done = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
                           "--exclude-standard"], capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout:
        names = done.stdout.split("\0")
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*")]
    skipped = re.compile(r"(build|\.git|\.cache)/|.*__pycache__")
    return sorted(n for n in set(names)
                  if n and not skipped.match(n) and (root / n).is_file())


def main():
    problems = hints = 0
    paths = tracked(ROOT)
    for path in paths:
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = list(check_text(path, text))
        if is_bash(path, text):
            found += check_bash(ROOT, path)
        for line, rule, what in found:
            print(f"{path}:{line}: {rule}: {what}")
            problems += rule != "hint"
            hints += rule == "hint"
    for path, rule, what in check_readmes(set(paths)):
        print(f"{path}:1: {rule}: {what}")
        problems += 1
    print(f"{len(paths)} files, {problems} problems, {hints} hints")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
