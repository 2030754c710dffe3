// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration files of the routers that are supervised (the first byte tells whose): bounded,
// the same each time, and one line of words for what is wrong.
#include "router/providers/provider.hpp"

#include "router/providers/haproxy_file.hpp"
#include "tests/fuzz/target.hpp"

namespace hamr::fuzz {

namespace {

using namespace hamr::router;

bool equal(const Listener& a, const Listener& b) {
    return a.name == b.name && a.address == b.address && a.protocol == b.protocol;
}

void run(Bytes input) {
    if (input.empty()) return;
    ProviderConfig config;
    config.kind = static_cast<ProviderKind>(std::to_integer<unsigned>(input[0]) % 5);
    config.config = "/etc/router.conf";
    config.command = {"/usr/bin/true"};
    config.unit = "router.service";
    const std::string_view file = as_text(input.subspan(1));
    const auto plan = make_plan(config, file);
    if (!plan) {
        HAMR_ASSERT(!plan.error().what.empty() && is_one_line(plan.error().message()));
        return;
    }
    HAMR_ASSERT(plan->argv.empty() == (config.kind == ProviderKind::systemd));
    HAMR_ASSERT(plan->listeners.size() <= max_listeners);
    for (const Listener& listener : plan->listeners) HAMR_ASSERT(listener.address.port != 0);
    HAMR_ASSERT(plan->stats_socket.empty() || plan->stats_socket.front() == '/');
    HAMR_ASSERT(plan->warnings.size() <= 8);
    const auto again = make_plan(config, file);
    HAMR_ASSERT(again && again->warnings == plan->warnings);
    HAMR_ASSERT(std::equal(plan->listeners.begin(), plan->listeners.end(), again->listeners.begin(),
                           again->listeners.end(), equal));
}

}  // namespace

const Target provider{"provider", run, 128 << 10, 512};

}  // namespace hamr::fuzz
