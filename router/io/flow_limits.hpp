// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "router/flows.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

// What this host's kernel has room for: connections in its table, and ports towards one backend.
// Warns before it is used up, and says so when it is.
//
// Table     All connections of this network namespace, also those that are no flows. Near: from
//           90 % on, until it is below 85 %. Full: no entry could be had, now or 10 s ago at most.
// Ports     The kernel translates a flow to (VIP, port) -> backend, and each port of that is used
//           once. Near: from 80 % on.
// Threading One thread; reads two small files of /proc, which never wait.

namespace hamr::router_io {

struct ConntrackUsage {
    std::uint64_t count = 0;
    std::uint64_t most = 0;     ///< net.netfilter.nf_conntrack_max; 0: no limit
    std::uint64_t dropped = 0;  ///< packets, since there was no entry for them, or no port
};

/// Of the calling thread's network namespace; nothing when its kernel does not track.
[[nodiscard]] std::optional<ConntrackUsage> conntrack_usage();

class FlowLimits {
  public:
    /// As FlowSync::Events::trouble.
    using Trouble = std::function<void(const std::string& key, const std::string& what,
                                       const std::string& remedy)>;
    /// The ports that the kernel gives to clients whose own is above 1023.
    static constexpr std::uint64_t ports = 65'536 - 1024;

    explicit FlowLimits(Trouble trouble) : trouble_(std::move(trouble)) {}

    /// Every half second. `refused`: how many flows the kernel has not taken since the start,
    /// because its table was full.
    void look(BootTime now, const std::optional<ConntrackUsage>& usage, std::uint64_t refused,
              const router::FlowTable& table);
    [[nodiscard]] const ConntrackUsage& usage() const { return usage_; }
    /// How many more entries the kernel has room for.
    [[nodiscard]] std::uint64_t room() const;

  private:
    void look_at_table(BootTime now, std::uint64_t refused);
    void look_at_ports(const router::FlowTable& table);

    Trouble trouble_;
    ConntrackUsage usage_;
    std::uint64_t refused_ = 0;
    BootTime full_at_ = long_ago;
    bool near_ = false;
    BootTime ports_at_ = long_ago;
    std::set<Endpoint> short_of_ports_;
};

}  // namespace hamr::router_io
