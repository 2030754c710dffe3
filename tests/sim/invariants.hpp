// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/world.hpp"

#include <map>
#include <set>
#include <tuple>
#include <vector>

// What must hold at every step, whatever the network, the clocks and the hosts do. A broken one
// throws Violation. README.md of this folder lists S1 to S8.
//
// Real time is used where the promise is about real time: a gate is open on a host while that
// host's own clock shows less than the deadline, and that is looked at in the instant in which
// another host opens or prolongs its gate. Gates only open in a SetGate, so nothing slips between.

namespace hamr::sim {

struct InvariantOptions {
    /// S1 is promised: majority mode, or none mode on a network that loses nothing.
    bool exclusive = true;
    /// In none mode two that step forward before they can have heard each other both lead, and must
    /// settle within `settle`. Zero in majority mode.
    Duration collision{};
    Duration settle{};
    /// Nothing but S1 is asked (sabotage.hpp).
    bool only_exclusive = false;
};

class Invariants : public Observer {
  public:
    Invariants(InvariantOptions options, std::size_t hosts, std::size_t groups);

    void acted(const World& world, const Host& host, const election::Action& action) override;
    void received(const World& world, const Host& host, const Frame& frame, int path,
                  election::Received result) override;
    void settled(const World& world, const Host& host, std::size_t actions) override;
    void ticked(const World& world, const Host& host) override;

    /// A failover was asked for; S8 wants it answered.
    void asked(const World& world, const Host& host, std::uint32_t id);
    /// S8, at the end of a run.
    void check_answers(const World& world) const;

    /// The greatest share of S6's allowance for frames that any host has used, in percent.
    [[nodiscard]] int frame_share() const { return frame_share_; }

  private:
    struct PerGroup {
        std::uint64_t life = 0;
        election::Term newest;
        RealTime lead_at{Duration{INT64_C(-1) << 60}};
    };
    struct PerHost {
        std::int64_t window = -1;
        std::int64_t datagrams = 0;
        std::int64_t asked = 0;    ///< frames heard that want an answer, or a greeting back
        std::int64_t changes = 0;  ///< what it may tell everybody at once
    };
    struct Question {
        std::size_t host;
        std::uint64_t life;
        std::uint32_t id;
        RealTime at;
    };

    [[nodiscard]] bool tolerated(const World& world, const Host& other, std::size_t group);
    void on_gate(const World& world, const Host& host, const election::SetGate& gate);
    void on_lead(const World& world, const Host& host, const election::Lead& lead);
    void on_step_down(const World& world, const Host& host, const election::StepDown& down);
    void on_send(const World& world, const Host& host, const election::Send& send);
    PerHost& counters(const World& world, const Host& host);
    void count_frame(const World& world, const Host& host, const election::Send& send);
    void on_done(const World& world, const Host& host, const election::FailoverDone& done);

    InvariantOptions options_;
    std::vector<std::vector<PerGroup>> groups_;
    std::vector<PerHost> hosts_;
    std::vector<RealTime> collisions_;  ///< per group, when the present one began
    std::vector<Question> questions_;
    std::set<std::tuple<std::size_t, std::uint64_t, std::uint32_t>> answered_;
    int frame_share_ = 0;
};

}  // namespace hamr::sim
