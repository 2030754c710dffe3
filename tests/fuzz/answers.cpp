// SPDX-License-Identifier: GPL-2.0-or-later
// What the command line reads: status, history and answers as JSON. What is accepted is written so
// that it reads the same, and is shown without anything that a terminal would obey.
#include "agent/cli/show.hpp"
#include "agent/control/json.hpp"
#include "tests/fuzz/target.hpp"

#include <string>

namespace hamr::fuzz {

namespace {

using namespace hamr::control;

template <class T>
void expect_told(const Result<T>& read) {
    if (!read) HAMR_ASSERT(!read.error().what.empty());
}

/// Reads it, and what is written of that, until nothing changes: at once but for the rounding.
template <class Parse>
void expect_same(std::string_view text, Parse parse) {
    const auto read = parse(text);
    expect_told(read);
    if (!read) return;
    const std::string written = to_json(*read);
    HAMR_ASSERT(written.size() <= 1024 + text.size() * 64);
    const auto again = parse(written);
    HAMR_ASSERT(again && to_json(*again) == written);
}

void expect_lines(std::string_view page) {
    while (!page.empty()) {
        const std::size_t end = std::min(page.find('\n'), page.size());
        HAMR_ASSERT(is_one_line(page.substr(0, end)));
        page.remove_prefix(std::min(end + 1, page.size()));
    }
}

void run(Bytes input) {
    const std::string_view text = as_text(input);
    expect_same(text, parse_status);
    expect_same(text, parse_history);
    expect_same(text, parse_failover_request);
    expect_same(text, parse_drain_request);
    expect_same(text, parse_backend_request);
    expect_same(text, parse_answer);
    expect_same(text, parse_backend_answer);
    expect_same(text, parse_failover_answer);
    expect_told(parse_version(text));
    HAMR_ASSERT(!parse_error(text).error.empty());
    const cli::Paint plain(false);
    const WallTime now = *parse_time("2026-11-20T06:00:00Z");
    if (const auto status = parse_status(text)) expect_lines(cli::show_status(*status, now, plain));
    if (const auto history = parse_history(text)) expect_lines(cli::show_history(*history, plain));
    if (const auto time = parse_time(text)) HAMR_ASSERT(parse_time(format_time(*time)) == time);
}

}  // namespace

const Target answers{"answers", run, 256 << 10, 2048};

}  // namespace hamr::fuzz
