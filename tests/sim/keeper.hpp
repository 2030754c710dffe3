// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "health/check.hpp"
#include "health/verdict.hpp"
#include "tests/sim/kernel.hpp"
#include "vip/plan.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// What the daemon keeps beside the election, for one program's time: the addresses' plans with
// their picture of the kernel, and the health machine. The glue of agent/daemon/address_keeper.cpp,
// health_service.cpp and pulse.cpp is played here and in world_host.cpp over the real pure rooms.

namespace hamr::sim {

class Keeper {
  public:
    explicit Keeper(std::vector<vip::PlanConfig> groups);

    void heard(const std::vector<vip::KernelEvent>& events);
    void hold(std::size_t group, BootTime now);
    /// An earlier program of this life holds it already: what is there stays.
    void resume(std::size_t group, bool announced, BootTime now);
    void release(std::size_t group);
    void announce(std::size_t group, BootTime now);
    void claim(const vip::Claim& claim, BootTime now);
    template <class Request>
    void done(std::size_t group, const Request& request, const Result<>& result, BootTime now) {
        plans_[group].plan.done(request, result, now);
        changed_ = true;
    }

    struct Due {
        std::vector<std::pair<std::size_t, vip::Action>> actions;
        std::vector<std::size_t> announced;  ///< groups whose addresses stand, once per hold()
        bool any = false;                    ///< whether there was anything to look at
    };
    [[nodiscard]] Due update(BootTime now);
    [[nodiscard]] BootTime next() const { return next_; }
    [[nodiscard]] vip::Readiness readiness() const;

  private:
    struct Entry {
        vip::Plan plan;
        bool tell_announced = false;
    };

    std::vector<Entry> plans_;
    vip::Links links_;
    bool changed_ = true;
    BootTime next_ = never;
};

/// The sources of one host's health: a check of its router, and its addresses.
class Doctor {
  public:
    /// How long a program that goes on with a life may need to find out what the earlier one knew.
    static constexpr Duration grace = std::chrono::seconds{3};

    Doctor(const health::CheckConfig& config, bool holds_addresses);
    /// In the program that goes on with this life: checks begin anew, and what they say worse than
    /// what is known waits.
    void go_on(const health::CheckConfig& config, BootTime now);

    void probed(BootTime now, BootTime begun, bool ok, std::uint32_t weight, bool urgent);
    void addresses(const vip::Readiness& readiness);

    /// The verdict at `now`.
    [[nodiscard]] health::Verdict verdict(BootTime now);
    [[nodiscard]] std::uint32_t demotion() const { return sources_.verdict().demotion; }
    [[nodiscard]] const health::Check& check() const { return check_; }

  private:
    void set(health::Source source);

    health::Check check_;
    health::Sources sources_;
    std::set<std::string> unproven_;
    std::map<std::string, health::Source> deferred_;
    BootTime grace_until_ = never;
};

}  // namespace hamr::sim
