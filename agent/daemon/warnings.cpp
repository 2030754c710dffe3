// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/warnings.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace hamr::daemon {

namespace {

/// "what; remedy" of a file's warning, apart, with the place in the file.
control::Warning apart(const config::Problem& problem) {
    constexpr std::string_view separator = "; ";
    const std::string place =
        problem.file +
        (problem.place.line > 0 ? " line " + std::to_string(problem.place.line) : "");
    const std::size_t at = problem.message.find(separator);
    if (at == std::string::npos) return {problem.message, "see " + place + " and hamr.yaml(5)"};
    return {problem.message.substr(0, at),
            problem.message.substr(at + separator.size()) + " (" + place + ")"};
}

}  // namespace

std::vector<control::Warning> config_warnings(const config::Loaded& loaded) {
    std::vector<control::Warning> warnings;
    for (const config::Problem& problem : loaded.warnings) {
        if (problem.message.starts_with("router.monitor ")) continue;
        warnings.push_back(apart(problem));
    }
    // That auto comes to none is told by the file's reader.
    const bool wanted = loaded.config.quorum == config::Quorum::none;
    if (wanted && loaded.config.nodes.size() > 1) {
        warnings.push_back(
            {"quorum none: a network that is cut in two makes two leaders with one address",
             loaded.config.nodes.size() > 2
                 ? "set quorum: majority"
                 : "add a third voter (a witness is enough) and set quorum: majority"});
    }
    return warnings;
}

std::vector<control::Warning> absent_addresses(const config::Node& self,
                                               const std::vector<IpAddress>& local) {
    std::vector<control::Warning> warnings;
    for (const IpAddress& address : self.addresses) {
        if (std::find(local.begin(), local.end(), address) != local.end()) continue;
        warnings.push_back({address.to_string() + ", an address of this node, is on no interface "
                                                  "of this host: peers do not hear it from there",
                            "give the host that address, or correct nodes." + self.name +
                                " in the configuration; hamrd goes on by itself once it is there"});
    }
    return warnings;
}

std::optional<control::Warning> clock_warning(const std::string& peer, double ratio,
                                              Duration interval) {
    constexpr double usual = 0.10;
    // Assumption 1 of docs/safety.md: no clock faster than another by more than a quarter.
    constexpr double bound = 1.25;
    if (ratio < 1 + usual && ratio > 1 / (1 + usual)) return std::nullopt;
    const bool slower = ratio > 1;
    const double times = slower ? ratio : 1 / ratio;
    char text[160];
    std::snprintf(text, sizeof text,
                  "%s's heartbeats come every %.1f ms by this host's clock, not every %.1f ms: its "
                  "clock runs %.2f times as %s as this one's",
                  peer.c_str(), to_ms(interval) * ratio, to_ms(interval), times,
                  slower ? "slowly" : "fast");
    std::string what = text;
    if (times > bound) what += ", beyond what the lease allows for: two leaders are possible";
    return control::Warning{
        std::move(what),
        "compare both hosts' clocks with a third one (`chronyc tracking`, the clock source of a "
        "virtual machine), and `hamr drain` the wrong one; on " +
            peer + ", look whether hamrd gets a processor in time"};
}

std::string_view remedy(vip::Notice notice) {
    switch (notice) {
        case vip::Notice::waiting:
            return "make that interface and set it up, or name another one in the configuration "
                   "(`interface`); hamrd goes on by itself once it is there";
        case vip::Notice::carrier_lost:
            return "look at the cable, the port of the switch, or this host's virtual network";
        case vip::Notice::left_deleted:
            return "`hamr failover` to this node puts the address on again";
        case vip::Notice::request_failed:
            return "hamrd tries again; look for what else manages addresses on this host";
        case vip::Notice::foreign_claim:
            return "find the host with that Ethernet address (`ip neigh`, the switch's table) and "
                   "take the address off it; another VIP manager, or a second leader, has it";
        case vip::Notice::ready:
        case vip::Notice::carrier_back:
        case vip::Notice::claim_over:
        case vip::Notice::leftover_removed:
        case vip::Notice::foreign_added:
        case vip::Notice::deleted:
        case vip::Notice::put_back_delayed:
        case vip::Notice::mac_changed:
            break;
    }
    return "nothing: this is news";
}

}  // namespace hamr::daemon
