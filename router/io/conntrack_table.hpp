// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "router/flows.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Writes flows of other router hosts into this host's kernel, so that it could go on with them.
//
// Entry     As the kernel would have made it: the client's way and the backend's, translation in
//           both directions, seen from both sides and assured. Windows count for nothing in it
//           (this host has not seen them). An established one waits as long as the kernel's default
//           (5 days), since nothing renews it here; others as long as told.
// Stale     An entry that is in the way, for one of the two ways, is replaced. For a flow of this
//           node's own it is right as it is.
// Batches   All of one apply() goes to the kernel in one message block; errors come back one by
//           one and are answered in the same way, a few times at most. Some 10 µs for each flow.
// Threading One thread; acts on the network namespace of the thread that calls open().

namespace hamr::router_io {

class ConntrackTable {
  public:
    /// The most that apply() takes.
    static constexpr std::size_t most = 64;

    struct Counts {
        std::uint64_t installed = 0;
        std::uint64_t updated = 0;
        std::uint64_t deleted = 0;
        std::uint64_t replaced = 0;  ///< were in the way of one that was installed
        std::uint64_t refused = 0;
        std::uint64_t full = 0;  ///< of these, because the kernel's table was
    };

    /// operation_not_permitted, or the kernel has no netlink.
    Result<> open();
    /// Which flows the kernel refused. Blocks for as long as the kernel works, never waits.
    [[nodiscard]] std::vector<router::FlowId> apply(const std::vector<router::KernelWork>& work);
    [[nodiscard]] const Counts& counts() const { return counts_; }
    /// Why the newest refused one was refused.
    [[nodiscard]] const std::string& reason() const { return reason_; }

  private:
    UniqueFd fd_;
    Counts counts_;
    std::string reason_;
};

}  // namespace hamr::router_io
