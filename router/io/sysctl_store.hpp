// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "router/sysctls.hpp"

#include <string>
#include <vector>

// Writes kernel settings and remembers what was there before, in a file that outlives the process.
//
// Contract   The originals are on disk (written, fsynced, renamed) before the first setting is
//            changed. An original that is already recorded is never overwritten, so that a start
//            after a crash does not take our own values for the host's. A record of another boot is
//            worth nothing and is dropped. restore() puts back only what still has the value that
//            we wrote: what somebody else has changed since stays theirs.
// Blocking   Small files; for the work loop or start and end, never for the pulse loop.
// Scope      /proc/sys as this thread sees it, so its network namespace. One store per record file.

namespace hamr::router_io {

struct SysctlReport {
    /// Optional settings that this kernel does not have (yet); apply() again after the first
    /// ruleset, which loads conntrack.
    std::vector<std::string> missing;
    /// What apply() wrote or restore() put back: path and value.
    std::vector<router::Sysctl> written;
    /// What restore() left alone, since somebody else has changed it.
    std::vector<std::string> foreign;
};

class SysctlStore {
  public:
    /// `record` is the file in the run directory, whose directory must exist; `root` is for tests.
    explicit SysctlStore(std::string record, std::string root = "/proc/sys");

    /// Makes every setting so. Settings that already are so are not recorded. Stops at the first
    /// failure; what was changed until then is recorded and can be restored.
    [[nodiscard]] Result<SysctlReport> apply(const std::vector<router::Sysctl>& settings);

    /// Puts the originals back, newest first, and removes the record. Nothing recorded: nothing
    /// done. Goes on after a failure, keeps the record then, and returns the first failure.
    [[nodiscard]] Result<SysctlReport> restore();

    /// Path and value as before the first change, oldest first.
    [[nodiscard]] Result<std::vector<router::Sysctl>> originals() const;

    /// Whether this kernel has the setting: net/ipv6/conf/eth0/force_forwarding.
    [[nodiscard]] bool exists(const std::string& path) const;

  private:
    struct Entry {
        std::string path;
        std::string original;
        std::string ours;
    };

    [[nodiscard]] Result<std::string> read(const std::string& path) const;
    [[nodiscard]] Result<> write(const std::string& path, const std::string& value) const;
    [[nodiscard]] Result<std::vector<Entry>> load() const;
    [[nodiscard]] Result<> save(const std::vector<Entry>& entries) const;

    std::string record_;
    std::string root_;
};

}  // namespace hamr::router_io
