// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "vip/links.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Looks at the tc filters of an interface: what libbpf cannot tell without CAP_SYS_ADMIN. One
// synchronous netlink dump per call, in the calling thread's network namespace.

namespace hamr::vip {

enum class FilterSide { ingress, egress };

struct Filter {
    std::uint32_t handle = 0;
    std::uint32_t priority = 0;
    std::string kind;           // "bpf", "u32", …
    std::string name;           // of a BPF filter, as given when it was attached
    std::uint32_t program = 0;  // of a BPF filter: the kernel's program id
};

/// The filters at one side of clsact, in the order in which they run; none when there is no clsact.
[[nodiscard]] Result<std::vector<Filter>> list_filters(InterfaceIndex index, FilterSide side);

}  // namespace hamr::vip
