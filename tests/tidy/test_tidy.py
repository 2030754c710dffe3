#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules find what they are for: each row is a file that breaks one of them, or none."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy

HEAD = "// SPDX-License-Identifier: GPL-2.0-or-later\n"

ROWS = [
    # name, path, text after the licence line, the rule that it breaks
    ("a domain includes another", "vip/a.cpp", '#include "election/core.hpp"\n', "layers"),
    ("a domain includes its own io", "vip/a.cpp", '#include "vip/io/link.hpp"\n', "layers"),
    ("io includes another domain", "vip/io/a.cpp", '#include "router/flow.hpp"\n', "layers"),
    ("base includes a domain", "base/a.cpp", '#include "vip/plan.hpp"\n', "layers"),
    ("a pure domain includes base/mysql", "health/a.cpp", '#include "base/mysql/x.hpp"\n',
     "layers"),
    ("the simulator includes io", "tests/sim/a.cpp", '#include "election/io/udp.hpp"\n', "layers"),
    ("a domain includes the agent", "router/io/a.cpp", '#include "agent/config/x.hpp"\n',
     "layers"),
    ("io includes its domain and base/mysql", "router/io/a.cpp",
     '#include "router/flow.hpp"\n#include "base/mysql/x.hpp"\n', None),
    ("the agent includes all", "agent/a.cpp",
     '#include "vip/io/link.hpp"\n#include "election/core.hpp"\n', None),
    ("Asio in a pure library", "election/a.cpp", "#include <boost/asio/ip/udp.hpp>\n", "pure"),
    ("a thread in a pure library", "vip/a.cpp", "#include <thread>\n", "pure"),
    ("sockets in a pure library", "base/a.cpp", "#include <sys/socket.h>\n", "pure"),
    ("sockets in io", "vip/io/a.cpp", "#include <sys/socket.h>\n", None),
    ("a clock read", "health/a.cpp", "auto t = BootClock::now();\n", "pure"),
    ("a clock read in a comment", "health/a.cpp", "// never BootClock::now()\n", None),
    ("a mutable static", "router/a.cpp", "static int counter = 0;\n", "pure"),
    ("a constant static", "router/a.cpp", "static constexpr int limit = 3;\n", None),
    ("a static function", "router/a.cpp", "static Value make(int x) {\n}\n", None),
    ("the clock itself", "base/clock.cpp", "clock_gettime(CLOCK_BOOTTIME, &t);\n", None),
    ("a long line", "vip/a.cpp", "// " + "x" * 100 + "\n", "columns"),
    ("a long file", "vip/a.cpp", "int x;\n" * 601, "length"),
    ("a long function", "vip/a.cpp", "void f() {\n" + "    g();\n" * 130 + "}\n", "function"),
    ("a longish function", "vip/a.cpp", "void f() {\n" + "    g();\n" * 80 + "}\n", "hint"),
    ("a leftover", "vip/a.cpp", "// TO" "DO later\n", "leftover"),
    ("a private path", "docs/a.md", "see /wo" "rk/x\n", "paths"),
    ("blanks at the end", "vip/a.cpp", "int x; \n", "blanks"),
    ("no pragma once", "vip/a.hpp", "int f();\n", "pragma"),
]


class Rules(unittest.TestCase):
    def test_rows(self):
        for name, path, text, rule in ROWS:
            with self.subTest(name):
                found = {r for _, r, _ in tidy.check_text(path, HEAD + text)}
                self.assertEqual({rule} if rule else set(), found)

    def test_licence(self):
        found = [r for _, r, _ in tidy.check_text("vip/a.cpp", "int x;\n")]
        self.assertEqual(["licence"], found)

    def test_readme(self):
        self.assertTrue(list(tidy.check_readmes({"vip/a.cpp"})))
        self.assertFalse(list(tidy.check_readmes({"vip/a.cpp", "vip/README.md"})))


if __name__ == "__main__":
    unittest.main()
