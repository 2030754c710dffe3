// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/world.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

// Counts what happened, to prove that runs are not vacuous, and folds it into a digest, to prove
// that a replay is the same run.

namespace hamr::sim {

struct Counts {
    std::uint64_t runs = 0;
    std::uint64_t first_leads = 0;
    std::uint64_t takeovers = 0;
    std::uint64_t handovers = 0;
    std::uint64_t candidacies = 0;
    std::uint64_t restarts = 0;
    std::uint64_t upgrades = 0;
    std::uint64_t announcements_again = 0;
    std::uint64_t reloads = 0;                ///< changes of the configuration, carried through
    std::uint64_t machines = 0;               ///< runs with kernels and health machines
    std::uint64_t established = 0;            ///< addresses stood and were announced
    std::uint64_t on_wire = 0;                ///< announcements that the network has heard
    std::array<std::uint64_t, 13> notices{};  ///< of address plans, by vip::Notice
    std::uint64_t failovers_accepted = 0;
    std::uint64_t failovers_refused = 0;
    std::uint64_t frames_sent = 0;
    std::array<std::uint64_t, 5> verdicts{};  ///< of received frames, by election::Verdict
    std::uint64_t simulated_ms = 0;
    int frame_share = 0;  ///< see Invariants::frame_share

    void add(const Counts& other);
    [[nodiscard]] std::string text() const;
    /// What a long series of runs must have met and has not; empty when all is well.
    [[nodiscard]] std::string missing() const;
};

class Coverage : public Observer {
  public:
    explicit Coverage(std::size_t groups) : groups_(groups) {}

    void acted(const World& world, const Host& host, const election::Action& action) override;
    void received(const World& world, const Host& host, const Frame& frame, int path,
                  election::Received result) override;
    void note(const World& world, const std::string& text) override;
    void on_wire(const World& world, const Host& host, std::size_t group) override;
    void announced(const World& world, const Host& host, std::size_t group) override;
    void reported(const World& world, const Host& host, std::size_t group,
                  const vip::Report& report) override;

    Counts counts;
    [[nodiscard]] std::uint64_t digest() const { return digest_; }
    /// The last instant at which leadership moved or the address was announced again.
    [[nodiscard]] RealTime last_change() const { return last_change_; }

  private:
    struct PerGroup {
        election::NodeId leader;     ///< the last that led
        election::NodeId successor;  ///< named by the last that stepped down
        election::Term candidacy;    ///< the newest seen
        election::NodeId candidate;
    };
    void fold(std::uint64_t value);

    std::vector<PerGroup> groups_;
    std::uint64_t digest_ = 0xcbf29ce484222325ULL;
    RealTime last_change_{};
};

}  // namespace hamr::sim
