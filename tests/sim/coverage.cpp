// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/coverage.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

namespace hamr::sim {

void Counts::add(const Counts& other) {
    runs += other.runs;
    first_leads += other.first_leads;
    takeovers += other.takeovers;
    handovers += other.handovers;
    candidacies += other.candidacies;
    restarts += other.restarts;
    upgrades += other.upgrades;
    announcements_again += other.announcements_again;
    reloads += other.reloads;
    machines += other.machines;
    established += other.established;
    on_wire += other.on_wire;
    for (std::size_t i = 0; i < notices.size(); ++i) notices[i] += other.notices[i];
    failovers_accepted += other.failovers_accepted;
    failovers_refused += other.failovers_refused;
    frames_sent += other.frames_sent;
    for (std::size_t i = 0; i < verdicts.size(); ++i) verdicts[i] += other.verdicts[i];
    simulated_ms += other.simulated_ms;
    frame_share = std::max(frame_share, other.frame_share);
}

std::string Counts::text() const {
    char buffer[768];
    std::snprintf(
        buffer, sizeof buffer,
        "%llu runs, %.1f simulated hours: %llu first elections, %llu takeovers, "
        "%llu handovers, %llu candidacies, %llu starts, %llu upgrades, %llu announcements again, "
        "%llu failovers done and %llu refused, %llu frames sent; received: %llu used, "
        "%llu greeted, %llu late, %llu duplicate, %llu dropped; frame allowance used: "
        "%d %%",
        static_cast<unsigned long long>(runs), static_cast<double>(simulated_ms) / 3.6e6,
        static_cast<unsigned long long>(first_leads), static_cast<unsigned long long>(takeovers),
        static_cast<unsigned long long>(handovers), static_cast<unsigned long long>(candidacies),
        static_cast<unsigned long long>(restarts), static_cast<unsigned long long>(upgrades),
        static_cast<unsigned long long>(announcements_again),
        static_cast<unsigned long long>(failovers_accepted),
        static_cast<unsigned long long>(failovers_refused),
        static_cast<unsigned long long>(frames_sent), static_cast<unsigned long long>(verdicts[0]),
        static_cast<unsigned long long>(verdicts[1]), static_cast<unsigned long long>(verdicts[2]),
        static_cast<unsigned long long>(verdicts[3]), static_cast<unsigned long long>(verdicts[4]),
        frame_share);
    std::string text = buffer;
    if (machines == 0) return text;
    text += "; addresses: " + std::to_string(established) + " stood, " + std::to_string(on_wire) +
            " announcements";
    for (std::size_t i = 0; i < notices.size(); ++i) {
        if (notices[i] == 0) continue;
        text +=
            ", " + std::to_string(notices[i]) + " " + vip::to_string(static_cast<vip::Notice>(i));
    }
    return text + "; " + std::to_string(reloads) + " changes of the configuration";
}

std::string Counts::missing() const {
    const std::pair<const char*, std::uint64_t> wanted[] = {
        {"first elections", first_leads},
        {"takeovers", takeovers},
        {"handovers", handovers},
        {"candidacies", candidacies},
        {"restarts", restarts},
        {"upgrades", upgrades},
        {"announcements again", announcements_again},
        {"accepted failovers", failovers_accepted},
        {"refused failovers", failovers_refused},
        {"used frames", verdicts[0]},
        {"greeted frames", verdicts[1]},
        {"late frames", verdicts[2]},
        {"duplicate frames", verdicts[3]},
        {"dropped frames", verdicts[4]},
    };
    std::string text;
    const auto miss = [&text](const std::string& what) {
        text += (text.empty() ? "" : ", ") + what;
    };
    for (const auto& [name, count] : wanted) {
        // Fewer than one in ten runs: not enough to rely on.
        if (count * 10 < runs) miss(name);
    }
    if (machines == 0) return text;
    if (reloads * 20 < runs) miss("changes of the configuration");
    if (established < runs) miss("addresses that stood");
    for (std::size_t i = 0; i < notices.size(); ++i) {
        const auto notice = static_cast<vip::Notice>(i);
        // No plan here is told to leave a deletion so, and no card changes its address.
        const bool never =
            notice == vip::Notice::left_deleted || notice == vip::Notice::mac_changed;
        if (!never && notices[i] * 20 < runs) miss(vip::to_string(notice));
    }
    return text;
}

void Coverage::fold(std::uint64_t value) {
    digest_ = (digest_ ^ value) * 0x100000001b3ULL;
}

void Coverage::acted(const World& world, const Host& host, const election::Action& action) {
    fold(static_cast<std::uint64_t>(world.now().time_since_epoch().count()));
    fold(host.id.value);
    fold(action.index());
    if (const auto* send = std::get_if<election::Send>(&action)) {
        ++counts.frames_sent;
        fold(send->frame.sequence.value);
        for (const election::GroupEntry& entry : send->frame.groups) {
            PerGroup& group = groups_[world.group_index(entry.group)];
            if (entry.claim != election::Claim::candidate) continue;
            if (group.candidate == host.id && group.candidacy == entry.term) continue;
            group.candidate = host.id;
            group.candidacy = entry.term;
            ++counts.candidacies;
        }
    } else if (const auto* gate = std::get_if<election::SetGate>(&action)) {
        fold(static_cast<std::uint64_t>(gate->until.time_since_epoch().count()));
    } else if (const auto* lead = std::get_if<election::Lead>(&action)) {
        PerGroup& group = groups_[world.group_index(lead->group)];
        if (group.leader == election::no_node) {
            ++counts.first_leads;
        } else if (group.successor == host.id) {
            ++counts.handovers;
        } else if (group.leader != host.id) {
            ++counts.takeovers;
        }
        group.leader = host.id;
        group.successor = election::no_node;
        last_change_ = world.now();
        fold(lead->term.value);
    } else if (const auto* down = std::get_if<election::StepDown>(&action)) {
        groups_[world.group_index(down->group)].successor = down->successor;
        last_change_ = world.now();
    } else if (std::get_if<election::AnnounceAgain>(&action) != nullptr) {
        ++counts.announcements_again;
        last_change_ = world.now();
    } else if (const auto* done = std::get_if<election::FailoverDone>(&action)) {
        ++(done->result == election::AskResult::accepted ? counts.failovers_accepted
                                                         : counts.failovers_refused);
    }
}

void Coverage::received(const World& world, const Host& host, const Frame& frame, int path,
                        election::Received result) {
    ++counts.verdicts[static_cast<std::size_t>(result.verdict)];
    fold(static_cast<std::uint64_t>(world.now().time_since_epoch().count()));
    fold(host.id.value);
    fold(frame.sequence.value * 4 + static_cast<std::uint64_t>(path));
}

void Coverage::on_wire(const World& world, const Host& host, std::size_t group) {
    ++counts.on_wire;
    fold(static_cast<std::uint64_t>(world.now().time_since_epoch().count()));
    fold(host.id.value + group);
}

void Coverage::announced(const World&, const Host&, std::size_t) {
    ++counts.established;
}

void Coverage::reported(const World&, const Host&, std::size_t group, const vip::Report& report) {
    ++counts.notices[static_cast<std::size_t>(report.notice)];
    fold(static_cast<std::uint64_t>(report.notice) * 16 + group);
}

void Coverage::note(const World&, const std::string& text) {
    if (text.starts_with("start ")) ++counts.restarts;
    if (text.starts_with("upgraded ")) ++counts.upgrades;
}

}  // namespace hamr::sim
