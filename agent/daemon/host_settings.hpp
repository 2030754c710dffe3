// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "router/io/sysctl_store.hpp"
#include "router/sysctls.hpp"
#include "vip/links.hpp"

#include <string>
#include <vector>

// The kernel settings that this host needs, on the interfaces that it uses: those of the addresses
// on every router host, those of forwarding with the embedded router, those of connection tracking
// with a supervised one. The originals are kept in the
// run directory. Threading: the work loop.

namespace hamr::daemon {

class HostSettings {
  public:
    /// `record` keeps the originals; `root` is for tests.
    HostSettings(const config::Config& config, std::string record, std::string root = "/proc/sys");

    /// Puts back what a crash, or this process, left.
    [[nodiscard]] Result<> restore();
    /// True when other interfaces are in use now, so that apply() is due.
    bool links_changed(const vip::Links& links);
    [[nodiscard]] Result<> apply();

    /// The links by which clients and backends reach this host.
    [[nodiscard]] const std::vector<std::string>& interfaces() const { return interfaces_; }
    /// Where only flows of the VIP may be forwarded, since nothing was forwarded before.
    [[nodiscard]] router::Guards guards() const;

  private:
    [[nodiscard]] std::vector<std::string> interfaces_in_use(const vip::Links& links) const;
    [[nodiscard]] router::SysctlInput input() const;
    [[nodiscard]] std::vector<router::Sysctl> wanted() const;

    const config::Config& config_;
    config::RouterKind kind_;
    router_io::SysctlStore store_;
    std::vector<std::string> interfaces_;
};

}  // namespace hamr::daemon
