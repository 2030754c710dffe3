// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/cleanup.hpp"

#include "agent/cli/exit_codes.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/environment.hpp"
#include "agent/daemon/files.hpp"
#include "router/io/nft.hpp"
#include "router/io/supervisor.hpp"
#include "router/io/sysctl_store.hpp"
#include "vip/gate/gate.hpp"
#include "vip/io/netlink.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include <boost/asio/io_context.hpp>

namespace hamr::daemon {

namespace {

constexpr Duration router_stop_timeout = std::chrono::seconds{10};

struct Removal {
    vip::Links links;
    int found = 0;
    int left = 0;
    bool asked = false;
    std::string failure;
};

void ask(Removal& removal, vip::Netlink& netlink, const std::vector<IpAddress>& addresses) {
    removal.asked = true;
    for (const auto& [index, link] : removal.links.all()) {
        for (const IpPrefix& prefix : link.addresses) {
            const bool ours =
                std::find(addresses.begin(), addresses.end(), prefix.address) != addresses.end();
            if (!ours) continue;
            ++removal.found;
            ++removal.left;
            netlink.remove_address(index, prefix, [&removal](const Result<>& result) {
                --removal.left;
                if (!result) removal.failure = result.error().message();
            });
        }
    }
}

template <class T>
bool report(const char* what, const Result<T>& result) {
    if (result) {
        std::printf("%s: done\n", what);
        return true;
    }
    std::fprintf(stderr, "hamrd: %s: %s\n", what, result.error().message().c_str());
    return false;
}

}  // namespace

Result<int> remove_addresses(const std::vector<IpAddress>& addresses) {
    boost::asio::io_context io;
    Removal removal;
    auto netlink =
        vip::Netlink::open(io.get_executor(), [&removal](std::span<const vip::KernelEvent> events) {
            for (const vip::KernelEvent& event : events) removal.links.apply(event);
        });
    if (!netlink) return tl::unexpected(netlink.error());
    auto guard = boost::asio::make_work_guard(io);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{2};
    while (std::chrono::steady_clock::now() < deadline) {
        io.run_for(std::chrono::milliseconds{10});
        if (removal.links.complete() && !removal.asked) ask(removal, **netlink, addresses);
        if (removal.asked && removal.left == 0) {
            if (!removal.failure.empty()) return fail(removal.failure);
            return removal.found;
        }
    }
    return fail("the kernel has not answered within 2 s");
}

int clean_up(const Options& options) {
    const auto lock = lock_namespace();
    if (!lock) {
        std::fprintf(stderr,
                     "hamrd: %s: nothing was cleaned up\n"
                     "  a clean stop takes everything away by itself\n",
                     lock.error().message().c_str());
        return cli::exit_failed;
    }
    int code = cli::exit_done;
    try {
        const config::Loaded loaded = config::load(options.config);
        std::vector<IpAddress> addresses;
        for (const config::Group& group : loaded.config.groups) {
            for (const IpPrefix& prefix : group.addresses) addresses.push_back(prefix.address);
        }
        if (!report("addresses", remove_addresses(addresses))) code = cli::exit_failed;
    } catch (const config::ConfigError& error) {
        std::fprintf(stderr, "%s\nhamrd: the addresses are not known, the rest is cleaned up\n",
                     error.what());
        code = cli::exit_config;
    }
    if (!report("rules", router_io::remove_blocking())) code = cli::exit_failed;
    const Files files(options.socket);
    if (!options.keep_router) {
        const auto ended = router_io::end_orphan(files.router, router_stop_timeout);
        if (!report("router", ended)) code = cli::exit_failed;
    }
    if (!report("settings", router_io::SysctlStore(files.sysctls).restore())) {
        code = cli::exit_failed;
    }
    // The gate goes last: whatever could not be taken off before stays mute until the next boot.
    if (code == cli::exit_done && !report("gate", vip::Gate::cleanup())) code = cli::exit_failed;
    return code;
}

}  // namespace hamr::daemon
