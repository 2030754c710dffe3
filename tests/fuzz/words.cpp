// SPDX-License-Identifier: GPL-2.0-or-later
// Words of strangers made fit for a line of a log, and what people write: addresses, durations.
#include "agent/cli/terminal.hpp"
#include "agent/config/duration.hpp"
#include "base/net/address.hpp"
#include "health/text.hpp"
#include "router/output_lines.hpp"
#include "tests/fuzz/target.hpp"

#include <string>
#include <vector>

namespace hamr::fuzz {

namespace {

template <class T>
void expect_same(std::string_view text) {
    const auto read = T::parse(text);
    if (read) HAMR_ASSERT(T::parse(read->to_string()) == read);
}

void printable_words(std::string_view text) {
    for (const std::size_t limit : {4, 16, 200}) {
        const std::string shown = health::printable(text, limit);
        HAMR_ASSERT(shown.size() <= limit && is_one_line(shown) && is_utf8(shown));
        HAMR_ASSERT(health::printable(shown, limit) == shown);
        const std::string line = router::printable(text, limit);
        HAMR_ASSERT(line.size() <= limit && is_one_line(line) && is_utf8(line));
    }
    const std::string shown = cli::printable(text);
    HAMR_ASSERT(is_one_line(shown) && shown.size() <= text.size());
    HAMR_ASSERT(cli::printable(shown) == shown);
    HAMR_ASSERT(cli::width(cli::cut(text, 20)) <= 20);
    HAMR_ASSERT(is_utf8(shown) == is_utf8(text));
}

std::vector<std::string> lines_of(std::string_view text, std::size_t piece) {
    router::OutputLines output;
    constexpr BootTime now{};
    std::vector<std::string> lines;
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
        for (std::string& line : output.feed(text.substr(0, piece), now)) lines.push_back(line);
    }
    for (std::string& line : output.end(now)) lines.push_back(line);
    for (const std::string& line : output.newest()) HAMR_ASSERT(is_one_line(line));
    return lines;
}

void run(Bytes input) {
    const std::string_view text = as_text(input);
    printable_words(text);
    const auto lines = lines_of(text, text.size() + 1);
    HAMR_ASSERT(lines == lines_of(text, 3));
    HAMR_ASSERT(lines.size() <= router::OutputLines::rate);
    for (const std::string& line : lines) {
        HAMR_ASSERT(is_one_line(line) && is_utf8(line));
        HAMR_ASSERT(line.size() <= router::OutputLines::max_line + 8);
    }
    expect_same<IpAddress>(text);
    expect_same<IpPrefix>(text);
    expect_same<Endpoint>(text);
    expect_same<MacAddress>(text);
    if (const auto read = config::parse_duration(text)) {
        HAMR_ASSERT(read->count() >= 0);
        const std::string written = config::format_duration(*read);
        HAMR_ASSERT(config::parse_duration(written) == read || written.ends_with("ns"));
    }
}

}  // namespace

const Target words{"words", run, 128 << 10, 64};

}  // namespace hamr::fuzz
