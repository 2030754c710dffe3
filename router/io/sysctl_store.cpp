// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/sysctl_store.hpp"

#include "base/unique_fd.hpp"
#include "router/io/durable_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace hamr::router_io {

using router::Sysctl;

namespace {

constexpr const char* header = "hamr-sysctls 1 ";
constexpr std::size_t longest_record = 1U << 20;

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return fail_errno("read " + path, errno);
    std::string text;
    std::array<char, 4096> chunk{};
    while (text.size() <= limit) {
        const ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
        if (n < 0) return fail_errno("read " + path, errno);
        if (n == 0) return text;
        text.append(chunk.data(), static_cast<std::size_t>(n));
    }
    return fail(path + " is too long");
}

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

/// Names this boot; empty where that cannot be told, which then counts as one boot for ever.
std::string boot_id() {
    return trimmed(read_file("/proc/sys/kernel/random/boot_id", 64).value_or(""));
}

}  // namespace

SysctlStore::SysctlStore(std::string record, std::string root)
    : record_(std::move(record)), root_(std::move(root)) {}

bool SysctlStore::exists(const std::string& path) const {
    return ::access((root_ + "/" + path).c_str(), F_OK) == 0;
}

Result<std::string> SysctlStore::read(const std::string& path) const {
    return read_file(root_ + "/" + path, 4096).map(trimmed);
}

Result<> SysctlStore::write(const std::string& path, const std::string& value) const {
    const std::string full = root_ + "/" + path;
    const UniqueFd fd(::open(full.c_str(), O_WRONLY | O_CLOEXEC | O_TRUNC));
    const bool written =
        fd && ::write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
    if (!written) return fail_errno("write " + value + " to " + full, errno);
    return {};
}

Result<std::vector<SysctlStore::Entry>> SysctlStore::load() const {
    std::vector<Entry> entries;
    const auto text = read_file(record_, longest_record);
    if (!text) {
        if (text.error().code == std::errc::no_such_file_or_directory) return entries;
        return tl::unexpected<Error>(text.error());
    }
    std::istringstream lines(*text);
    std::string line;
    if (!std::getline(lines, line) || line.rfind(header, 0) != 0) {
        return fail(record_ + " is not a record of settings");
    }
    if (line.substr(std::string(header).size()) != boot_id()) return entries;
    while (std::getline(lines, line)) {
        // A value may itself hold tabs (tcp_rmem), so the fields are in lines of their own.
        Entry entry;
        entry.path = line;
        if (!std::getline(lines, entry.original) || !std::getline(lines, entry.ours)) {
            return fail(record_ + " is cut short");
        }
        entries.push_back(std::move(entry));
    }
    return entries;
}

Result<> SysctlStore::save(const std::vector<Entry>& entries) const {
    std::string text = header + boot_id() + "\n";
    for (const Entry& entry : entries) {
        text += entry.path + "\n" + entry.original + "\n" + entry.ours + "\n";
    }
    return write_durably(record_, text);
}

Result<SysctlReport> SysctlStore::apply(const std::vector<Sysctl>& settings) {
    auto entries = load();
    if (!entries) return tl::unexpected<Error>(entries.error());

    SysctlReport report;
    for (const Sysctl& setting : settings) {
        const auto now = read(setting.path);
        if (!now) {
            const bool absent = now.error().code == std::errc::no_such_file_or_directory;
            if (!absent || !setting.optional) return tl::unexpected<Error>(now.error());
            report.missing.push_back(setting.path);
            continue;
        }
        if (*now == setting.value || (setting.only_if && *now != *setting.only_if)) continue;
        report.written.push_back(setting);
        const auto known = std::find_if(entries->begin(), entries->end(), [&](const Entry& entry) {
            return entry.path == setting.path;
        });
        if (known == entries->end()) {
            entries->push_back({setting.path, *now, setting.value});
        } else {
            known->ours = setting.value;
        }
    }
    if (report.written.empty()) return report;
    if (const auto saved = save(*entries); !saved) return tl::unexpected<Error>(saved.error());
    for (const Sysctl& setting : report.written) {
        const auto written = write(setting.path, setting.value);
        if (!written) return tl::unexpected<Error>(written.error());
    }
    return report;
}

Result<SysctlReport> SysctlStore::restore() {
    const auto entries = load();
    if (!entries) return tl::unexpected<Error>(entries.error());

    SysctlReport report;
    std::optional<Error> first;
    for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
        const auto now = read(entry->path);
        if (!now) {
            // The interface has gone, and its settings with it.
            const bool gone = now.error().code == std::errc::no_such_file_or_directory;
            if (!gone && !first) first = now.error();
            continue;
        }
        if (*now == entry->original) continue;
        if (*now != entry->ours) {
            report.foreign.push_back(entry->path);
            continue;
        }
        const auto written = write(entry->path, entry->original);
        if (!written && !first) first = written.error();
        if (written) report.written.push_back({entry->path, entry->original, "as it was before"});
    }
    if (first) return tl::unexpected<Error>(*first);
    if (::unlink(record_.c_str()) != 0 && errno != ENOENT) {
        return fail_errno("remove " + record_, errno);
    }
    return report;
}

Result<std::vector<Sysctl>> SysctlStore::originals() const {
    return load().map([](const std::vector<Entry>& entries) {
        std::vector<Sysctl> list;
        for (const Entry& entry : entries) list.push_back({entry.path, entry.original, ""});
        return list;
    });
}

}  // namespace hamr::router_io
