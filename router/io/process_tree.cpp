// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/process_tree.hpp"

#include "base/process/process.hpp"
#include "base/unique_fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace hamr::router_io {

namespace {

/// The first `limit` bytes of a file of /proc; "" if it cannot be read.
std::string read_proc(const std::string& path, std::size_t limit) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    if (!fd) return text;
    std::array<char, 4096> piece;
    while (text.size() < limit) {
        const ssize_t n = ::read(fd.get(), piece.data(), piece.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text.append(piece.data(), static_cast<std::size_t>(n));
    }
    return text;
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
}

std::vector<pid_t> all_pids() {
    std::vector<pid_t> pids;
    DIR* const folder = ::opendir("/proc");
    if (folder == nullptr) return pids;
    while (const dirent* entry = ::readdir(folder)) {
        pid_t pid = 0;
        if (parse_number(std::string_view(entry->d_name), pid)) pids.push_back(pid);
    }
    ::closedir(folder);
    return pids;
}

/// Nothing when there is no environment to read.
std::optional<bool> carries(pid_t pid, const std::string& marker) {
    if (marker.empty()) return false;
    const std::string text = read_proc("/proc/" + std::to_string(pid) + "/environ", 256 * 1024);
    if (text.empty()) return std::nullopt;
    const std::string wanted = std::string(marker_variable) + "=" + marker;
    std::size_t at = text.find(wanted);
    while (at != std::string::npos) {
        const std::size_t end = at + wanted.size();
        const bool begins = at == 0 || text[at - 1] == '\0';
        if (begins && (end == text.size() || text[end] == '\0')) return true;
        at = text.find(wanted, end);
    }
    return false;
}

}  // namespace

std::optional<ProcessStat> read_stat(pid_t pid) {
    const std::string text = read_proc("/proc/" + std::to_string(pid) + "/stat", 4096);
    // The name may hold anything, a closing bracket too: what counts is behind the last one.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos || name_end + 2 >= text.size()) return std::nullopt;
    ProcessStat stat;
    stat.pid = pid;
    std::string_view rest = std::string_view(text).substr(name_end + 2);
    for (int field = 3; field <= 22 && !rest.empty(); ++field) {
        const std::size_t end = rest.find(' ');
        const std::string_view word = rest.substr(0, end);
        bool good = true;
        switch (field) {
            case 3:
                stat.state = word.empty() ? '?' : word.front();
                break;
            case 4:
                good = parse_number(word, stat.parent);
                break;
            case 5:
                good = parse_number(word, stat.group);
                break;
            case 6:
                good = parse_number(word, stat.session);
                break;
            case 20:
                good = parse_number(word, stat.threads);
                break;
            case 22:
                return parse_number(word, stat.start) ? std::optional(stat) : std::nullopt;
            default:
                break;
        }
        if (!good || end == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(end + 1);
    }
    return std::nullopt;
}

BootTime start_time(const ProcessStat& stat) {
    const long rate = std::max(::sysconf(_SC_CLK_TCK), 1L);
    const auto tick = Duration(std::chrono::seconds{1}) / rate;
    return BootTime{tick * static_cast<Duration::rep>(stat.start)};
}

std::string boot_id() {
    std::string id = read_proc("/proc/sys/kernel/random/boot_id", 64);
    while (!id.empty() && id.back() == '\n') id.pop_back();
    return id;
}

std::vector<ProcessStat> members(const InstanceId& instance, bool* unsure) {
    std::vector<ProcessStat> candidates;
    for (const pid_t pid : all_pids()) {
        if (pid == ::getpid() || pid <= 1) continue;
        const auto stat = read_stat(pid);
        if (stat && !stat->dead() && stat->start >= instance.start) candidates.push_back(*stat);
    }
    std::vector<ProcessStat> found;
    const auto take = [&](auto belongs) {
        const auto middle = std::stable_partition(candidates.begin(), candidates.end(),
                                                  [&](const auto& it) { return !belongs(it); });
        const bool any = middle != candidates.end();
        found.insert(found.end(), middle, candidates.end());
        candidates.erase(middle, candidates.end());
        return any;
    };
    take([&](const ProcessStat& it) {
        const bool first = it.pid == instance.pid && it.start == instance.start;
        const bool kin = instance.first_seen && it.pid != instance.pid &&
                         (it.session == instance.pid || it.group == instance.pid);
        if (instance.pid > 0 && (first || kin)) return true;
        const std::optional<bool> marked = carries(it.pid, instance.marker);
        constexpr pid_t kthreadd = 2;  // its children are the kernel's own, which have none
        if (!marked && it.parent != kthreadd && unsure != nullptr) *unsure = true;
        return marked.value_or(false);
    });
    while (take([&](const ProcessStat& it) {
        return std::any_of(found.begin(), found.end(),
                           [&](const ProcessStat& parent) { return it.parent == parent.pid; });
    })) {
    }
    return found;
}

void signal_all(const std::vector<ProcessStat>& processes, int number) {
    for (const ProcessStat& process : processes) {
        const UniqueFd pidfd = process::open_pidfd(process.pid);
        if (!pidfd) continue;
        // The descriptor holds the process: if it began when it should, it is the right one.
        const auto now = read_stat(process.pid);
        if (now && now->start == process.start) process::send_signal(pidfd.get(), number);
    }
}

}  // namespace hamr::router_io
