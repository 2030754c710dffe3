// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/options.hpp"
#include "tests/sim/world.hpp"

#include <cstdint>
#include <optional>
#include <vector>

// Changes of the configuration, as an operator makes them: one node is added or removed, or the
// timers change, on one host after the other; the next change begins when every voter reports this
// one (docs/protocol.md, M18). An agent takes a new configuration over by a new life, or live, if
// it judges that it may; one that goes on refusing is started anew.
//
// Contract. Whoever is the next waits until the last one has left its quarantine. In mode none a
// node is started last when it is added and stopped first when it is removed, since one that nobody
// knows would lead alone; in majority mode it may as well live until all others have forgotten it.
// Faults go on meanwhile.

namespace hamr::sim {

class Reloads {
  public:
    /// Takes the hosts as make_hosts() made them, and gives them what they know at first.
    Reloads(const RunOptions& options, std::vector<HostOptions>& hosts);

    void begin(World& world, RealTime end);
    /// No further change; the one under way is carried through.
    void finish() { end_ = RealTime{}; }
    [[nodiscard]] bool under_way() const { return change_.has_value(); }
    [[nodiscard]] std::uint64_t made() const { return made_; }
    /// Hosts that took a change over live, and times that one refused to.
    [[nodiscard]] std::uint64_t live() const { return live_; }
    [[nodiscard]] std::uint64_t refused() const { return refused_; }

  private:
    struct Change {
        std::vector<std::size_t> order;  ///< hosts that have not got it yet, the last one first
        std::optional<std::size_t> current;
        std::optional<std::size_t> added;
        std::optional<std::size_t> removed;
        int patience = 40;  ///< with refusals
    };

    void next_look();
    void look();
    void choose();
    void carry_on();
    void give(std::size_t h);
    /// False when the host is to be started anew.
    bool give_live(std::size_t h);
    void take_out(std::size_t h);
    [[nodiscard]] bool settled(std::size_t h) const;
    [[nodiscard]] bool all_report() const;
    [[nodiscard]] election::Settings settings_of(std::size_t h) const;

    const RunOptions& options_;
    World* world_ = nullptr;
    election::Settings all_;  ///< with every node
    std::vector<bool> members_;
    election::Timing timing_;
    std::optional<Change> change_;
    Prng prng_;
    RealTime end_{};
    std::uint64_t made_ = 0;
    std::uint64_t live_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace hamr::sim
