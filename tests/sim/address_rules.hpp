// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/world.hpp"

#include <string>
#include <vector>

// What must hold of the addresses themselves (README.md of this folder, A1 to A4), besides what
// Invariants asks of gates. A broken rule throws Violation.

namespace hamr::sim {

class AddressRules : public Observer {
  public:
    /// `exclusive`: majority mode with clocks that the protocol allows.
    AddressRules(bool exclusive, std::size_t hosts, std::size_t groups);

    void acted(const World& world, const Host& host, const election::Action& action) override;
    void on_wire(const World& world, const Host& host, std::size_t group) override;
    void announced(const World& world, const Host& host, std::size_t group) override;

    /// A3 and A4, every now and then.
    void look(const World& world);

    /// Whether all (or any) of the group's addresses are on the host.
    [[nodiscard]] static bool all_there(const World& world, const Host& host, std::size_t group);
    [[nodiscard]] static bool any_there(const World& world, const Host& host, std::size_t group);

    /// How long what is wanted and what is there may differ on a host that nothing disturbs.
    [[nodiscard]] static Duration settling(const World& world);

  private:
    struct Since {
        RealTime stray = end_of_time;
        RealTime missing = end_of_time;
    };

    bool exclusive_;
    std::vector<std::vector<Since>> since_;
};

}  // namespace hamr::sim
