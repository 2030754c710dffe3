// SPDX-License-Identifier: GPL-2.0-or-later
// What the hosts' kernels, address plans and health machines do to each other and to the election.
#include "tests/sim/world.hpp"

#include <utility>

namespace hamr::sim {

namespace {

/// From the kernel to the agent, or back.
constexpr Duration netlink_delay = std::chrono::microseconds{20};

std::vector<vip::PlanConfig> plans(const MachineOptions& machines, std::size_t h,
                                   std::size_t groups) {
    std::vector<vip::PlanConfig> all;
    for (std::size_t g = 0; g < groups; ++g) {
        vip::PlanConfig& plan = all.emplace_back();
        plan.addresses = group_addresses(g, machines.ipv6);
        if (!machines.by_address) plan.interface = "eth0";
        for (const IpPrefix& own : host_addresses(h)) plan.node_addresses.push_back(own.address);
        plan.refresh = machines.refresh;
    }
    return all;
}

}  // namespace

void World::begin_program(std::size_t h) {
    Host& host = hosts_[h];
    if (!options_.machines.on) return;
    ++host.program;
    const bool holds = host.role() == election::NodeRole::router;
    if (!host.doctor) host.doctor.emplace(options_.machines.check, holds);
    if (!holds) return;
    host.keeper = std::make_unique<Keeper>(plans(options_.machines, h, host.groups.size()));
    static_cast<void>(host.kernel.take_news());
    tell_kernel_news(h, host.kernel.snapshot());
}

void World::go_on_with_addresses(std::size_t h) {
    begin_program(h);
    Host& host = hosts_[h];
    const BootTime now = host.clock.at(now_);
    host.doctor->go_on(options_.machines.check, now);
    for (std::size_t g = 0; host.keeper && g < host.groups.size(); ++g) {
        if (host.groups[g].leading) host.keeper->resume(g, host.groups[g].announced, now);
    }
}

bool World::keep_addresses(std::size_t h) {
    Host& host = hosts_[h];
    if (!host.keeper) return false;
    const BootTime now = host.clock.at(now_);
    const Keeper::Due due = host.keeper->update(now);
    for (const auto& [group, action] : due.actions) carry_out_on_kernel(h, group, action);
    for (const std::size_t group : due.announced) {
        host.groups[group].announced = true;
        host.groups[group].announced_at = now_;
        for (Observer* observer : observers_) observer->announced(*this, host, group);
        host.agent->announced(now, group_ids_[group], host.groups[group].led);
    }
    return due.any;
}

void World::carry_out_on_kernel(std::size_t h, std::size_t group, const vip::Action& action) {
    if (const auto* add = std::get_if<vip::AddAddress>(&action)) {
        ask_kernel(h, group, *add);
    } else if (const auto* remove = std::get_if<vip::RemoveAddress>(&action)) {
        ask_kernel(h, group, *remove);
    } else if (const auto* announcement = std::get_if<vip::Announce>(&action)) {
        announce_on_wire(h, group, *announcement);
    } else if (const auto* report = std::get_if<vip::Report>(&action)) {
        for (Observer* observer : observers_) {
            observer->reported(*this, hosts_[h], group, *report);
        }
    }
}

template <class Request>
void World::ask_kernel(std::size_t h, std::size_t group, const Request& request) {
    // In their order. What has been asked for is done, whatever becomes of the agent meanwhile.
    const Duration takes{
        prng_.between(options_.lead_latency_min.count(), options_.lead_latency_max.count())};
    RealTime& busy = hosts_[h].kernel_busy;
    busy = std::max(busy, now_ + takes);
    at(busy, [this, h, group, request, boots = hosts_[h].boots, program = hosts_[h].program] {
        Host& host = hosts_[h];
        if (host.boots != boots) return;
        Result<> result;
        const bool refused = host.refuses_permille > 0 &&
                             prng_.chance(static_cast<std::uint64_t>(host.refuses_permille), 1000);
        if (refused) {
            result = fail("the kernel refuses " + request.prefix.to_string());
        } else if constexpr (std::is_same_v<Request, vip::AddAddress>) {
            result = host.kernel.add(request.prefix);
        } else {
            result = host.kernel.remove(request.prefix);
        }
        tell_kernel_news(h, host.kernel.take_news());
        after(netlink_delay, [this, h, group, request, result, program] {
            if (hosts_[h].program != program) return;
            enter(h, [this, h, group, request, result](Election&, BootTime now) {
                hosts_[h].keeper->done(group, request, result, now);
                note_readiness(h);
            });
        });
    });
}

void World::tell_kernel_news(std::size_t h, std::vector<vip::KernelEvent> events) {
    if (!hosts_[h].keeper || hosts_[h].deaf || events.empty()) return;
    after(netlink_delay, [this, h, events = std::move(events), program = hosts_[h].program] {
        if (hosts_[h].program != program) return;
        enter(h, [this, h, events](Election&, BootTime) {
            hosts_[h].keeper->heard(events);
            note_readiness(h);
        });
    });
}

void World::note_readiness(std::size_t h) {
    settle(h);
    Host& host = hosts_[h];
    host.doctor->addresses(host.keeper->readiness());
    report_health(h);
}

void World::report_health(std::size_t h) {
    Host& host = hosts_[h];
    const BootTime now = host.clock.at(now_);
    const health::Verdict verdict = host.doctor->verdict(now);
    host.agent->health(now, {verdict.demotion, verdict.begun_at, verdict.urgent, verdict.reason});
}

void World::announce_on_wire(std::size_t h, std::size_t group, const vip::Announce& announcement) {
    const Host& host = hosts_[h];
    if (!gate_open(host, group) || !host.kernel.carries()) return;
    for (Observer* observer : observers_) observer->on_wire(*this, host, group);
    const vip::Claim claim{vip::ClaimKind::arp_request, announcement.address, announcement.mac};
    for (std::size_t other = 0; other < hosts_.size(); ++other) {
        // Only who holds it listens.
        const bool hears = other != h && hosts_[other].groups[group].leading &&
                           hosts_[other].kernel.carries() && !network.is_cut(h, other, 0);
        if (!hears) continue;
        after(network.weather.delay_min, [this, other, claim, program = hosts_[other].program] {
            if (hosts_[other].program != program) return;
            enter(other, [this, other, claim](Election& agent, BootTime now) {
                agent.tick(now);
                hosts_[other].keeper->claim(claim, now);
            });
        });
    }
}

void World::link(std::size_t h, bool up, bool carrier) {
    Host& host = hosts_[h];
    if (!options_.machines.on) return;
    note("link of " + host.name + (up ? " up" : " down") + (up && !carrier ? ", no carrier" : ""));
    host.kernel.link(up, carrier);
    host.meddled = now_;
    tell_kernel_news(h, host.kernel.take_news());
}

void World::meddle(std::size_t h, std::size_t group, bool add) {
    Host& host = hosts_[h];
    if (!options_.machines.on) return;
    note(std::string("somebody ") + (add ? "adds" : "deletes") + " the address of " +
         group_names_[group] + " on " + host.name);
    for (const IpPrefix& prefix : group_addresses(group, options_.machines.ipv6)) {
        for (const int length : {prefix.length, prefix.address.bits()}) {
            const IpPrefix there{prefix.address, length};
            static_cast<void>(add ? host.kernel.add(there) : host.kernel.remove(there));
        }
    }
    host.meddled = now_;
    tell_kernel_news(h, host.kernel.take_news());
}

void World::refuse(std::size_t h, int permille) {
    Host& host = hosts_[h];
    if (!options_.machines.on) return;
    note("the kernel of " + host.name + " refuses " + std::to_string(permille) + " in a thousand");
    host.refuses_permille = permille;
    host.meddled = now_;
}

void World::overrun(std::size_t h, Duration time) {
    if (!hosts_[h].keeper || hosts_[h].deaf) return;
    note("events of the kernel of " + hosts_[h].name + " are lost");
    hosts_[h].deaf = true;
    hosts_[h].meddled = now_;
    after(time, [this, h] {
        hosts_[h].deaf = false;
        hosts_[h].meddled = now_;
        tell_kernel_news(h, hosts_[h].kernel.snapshot());
    });
}

void World::probe(std::size_t h, BootTime begun) {
    enter(h, [this, h, begun](Election&, BootTime now) {
        Host& host = hosts_[h];
        host.doctor->probed(now, begun, host.demotion == 0, host.weight, host.urgent);
        report_health(h);
    });
}

}  // namespace hamr::sim
