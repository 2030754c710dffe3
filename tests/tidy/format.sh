#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every C++ file is laid out by .clang-format. Versions differ in their taste: only 14 decides.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    echo "skipped: clang-format 14 is not here"
    exit 77
fi
git ls-files -z '*.cpp' '*.hpp' | xargs -0 clang-format --dry-run -Werror
echo "every file is as .clang-format wants it"
