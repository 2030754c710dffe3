// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_limits.hpp"

#include "base/unique_fd.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <map>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace hamr::router_io {

namespace {

constexpr const char* count_file = "/proc/sys/net/netfilter/nf_conntrack_count";
constexpr const char* most_file = "/proc/sys/net/netfilter/nf_conntrack_max";
/// One line for each processor.
constexpr const char* stat_file = "/proc/thread-self/net/stat/nf_conntrack";
constexpr const char* drop_column = "drop";

constexpr std::uint64_t near_percent = 90;
constexpr std::uint64_t calm_percent = 85;
constexpr std::uint64_t ports_percent = 80;
constexpr std::uint64_t ports_calm_percent = 75;
/// What was full is full for so long, since each moment's news would be a new warning.
constexpr Duration full_for = std::chrono::seconds(10);
/// Fewer flows than that cannot use up the ports of a backend, and need not be looked at.
constexpr std::size_t many_flows = FlowLimits::ports * ports_calm_percent / 100;
constexpr Duration between_ports = std::chrono::seconds(5);

std::string read_file(const char* path) {
    const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    std::string text;
    if (!fd) return text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(size));
    }
}

std::optional<std::uint64_t> number(const std::string& text, int base = 10) {
    std::uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (read.ec != std::errc{}) return {};
    return value;
}

/// The sum over all processors of what stands under this title.
std::uint64_t sum_of(const std::string& table, const std::string& title) {
    std::istringstream lines(table);
    std::string line;
    std::string word;
    std::getline(lines, line);
    std::istringstream titles(line);
    std::size_t column = 0;
    while (titles >> word && word != title) ++column;
    if (word != title) return 0;
    std::uint64_t sum = 0;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        for (std::size_t i = 0; i <= column && words >> word; ++i) {
            if (i == column) sum += number(word, 16).value_or(0);
        }
    }
    return sum;
}

std::string of_backend(const Endpoint& backend) {
    return "flows-ports " + backend.to_string();
}

}  // namespace

std::optional<ConntrackUsage> conntrack_usage() {
    const auto count = number(read_file(count_file));
    const auto most = number(read_file(most_file));
    if (!count || !most) return {};
    return ConntrackUsage{*count, *most, sum_of(read_file(stat_file), drop_column)};
}

std::uint64_t FlowLimits::room() const {
    if (usage_.most == 0) return UINT64_MAX;
    return usage_.count < usage_.most ? usage_.most - usage_.count : 0;
}

void FlowLimits::look(BootTime now, const std::optional<ConntrackUsage>& usage,
                      std::uint64_t refused, const router::FlowTable& table) {
    if (usage) {
        usage_ = *usage;
        look_at_table(now, refused);
    }
    if (now - ports_at_ < between_ports) return;
    ports_at_ = now;
    if (table.size() >= many_flows || !short_of_ports_.empty()) look_at_ports(table);
}

void FlowLimits::look_at_table(BootTime now, std::uint64_t refused) {
    const std::uint64_t percent = usage_.most > 0 ? usage_.count * 100 / usage_.most : 0;
    if (room() == 0 || refused != refused_) full_at_ = now;
    refused_ = refused;
    near_ = percent >= (near_ ? calm_percent : near_percent);
    const bool full = now - full_at_ < full_for;
    const std::string limit = std::to_string(usage_.most);
    if (full) {
        trouble_("flows-table",
                 "the kernel's table of connections is full: new connections, and flows of other "
                 "nodes, are refused (nf_conntrack_max is " +
                     limit + ")",
                 "raise net.netfilter.nf_conntrack_max on every router host; flows that were "
                 "refused are tried again by themselves");
    } else if (near_) {
        trouble_("flows-table",
                 "the kernel's table of connections is nearly full: more than " +
                     std::to_string(calm_percent) + " % of " + limit,
                 "raise net.netfilter.nf_conntrack_max on every router host, or find what fills it "
                 "(`conntrack -L`)");
    } else {
        trouble_("flows-table", {}, {});
    }
}

void FlowLimits::look_at_ports(const router::FlowTable& table) {
    const auto flows = table.by_backend();
    std::set<Endpoint> now_short;
    for (const auto& [backend, count] : flows) {
        const bool before = short_of_ports_.contains(backend);
        const std::uint64_t limit = before ? ports_calm_percent : ports_percent;
        if (count * 100 >= ports * limit) now_short.insert(backend);
    }
    for (const Endpoint& backend : short_of_ports_) {
        if (!now_short.contains(backend)) trouble_(of_backend(backend), {}, {});
    }
    short_of_ports_ = std::move(now_short);
    for (const Endpoint& backend : short_of_ports_) {
        trouble_(of_backend(backend),
                 "most of the " + std::to_string(ports) + " ports towards " + backend.to_string() +
                     " are in use: beyond that new connections get no answer",
                 "spread the clients over more backends, or over a second address");
    }
}

}  // namespace hamr::router_io
