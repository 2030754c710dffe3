// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/invariants.hpp"
#include "tests/sim/options.hpp"
#include "tests/sim/world.hpp"

#include <cstdint>
#include <vector>

// Injects faults at drawn instants until it is told to stop, then heals everything. It also plays
// the hosts' health checks, which go on for the whole run.

namespace hamr::sim {

/// Keeps some of the frames that pass, of every boot, for somebody to send again.
class Recorder : public Observer {
  public:
    void acted(const World& world, const Host& host, const election::Action& action) override;
    [[nodiscard]] const std::vector<FramePtr>& frames() const { return frames_; }

  private:
    std::vector<FramePtr> frames_;
    std::uint64_t seen_ = 0;
};

class Faults {
  public:
    Faults(World& world, const RunOptions& options, Invariants& invariants);

    /// Starts the agents and the health checks, and injects faults until now + phase.
    void begin();
    /// Ends all faults: the network is whole and quick, every agent runs.
    void heal();

  private:
    void next();
    void inject();
    void isolate();
    void one_way();
    void split();
    void path_cut();
    void pause();
    void crash(bool power);
    void demote();
    void drain();
    void failover();
    void resign();
    void rate();
    void storm();
    void replay();
    void sluggish();
    void amnesia();
    void mute();
    void refuse();
    void flap();
    void meddle();
    void overrun();
    void amid();
    void next_upgrade();
    void upgrade();
    void isolate_for(std::size_t h, Duration time);
    void last();

    void check_health(std::size_t h);
    void start_later(std::size_t h, Duration after);
    /// Undoes `what` later, unless everything has been healed meanwhile.
    void later(Duration after, std::function<void()> what);
    [[nodiscard]] std::size_t any_host();
    [[nodiscard]] Duration some_time();

    World& world_;
    const RunOptions& options_;
    Invariants& invariants_;
    Recorder recorder_;
    Prng prng_;
    Prng upgrades_;  ///< of their own, see options.cpp
    RealTime end_{};
    bool healed_ = false;
};

}  // namespace hamr::sim
