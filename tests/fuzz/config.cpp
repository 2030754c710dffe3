// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration: what is accepted is complete and within every limit; what is refused is told
// in lines that name a place in the file, at most a hundred and one of them.
#include "agent/config/config.hpp"

#include "tests/fuzz/target.hpp"

#include <string>

namespace hamr::fuzz {

namespace {

using namespace hamr::config;

void expect_groups(const Config& config) {
    HAMR_ASSERT(!config.groups.empty() && config.groups.size() <= limits::groups);
    const auto routers = static_cast<std::size_t>(
        std::count_if(config.nodes.begin(), config.nodes.end(),
                      [](const Node& node) { return node.role == NodeRole::router; }));
    HAMR_ASSERT(routers >= 1);
    for (const Group& group : config.groups) {
        HAMR_ASSERT(!group.addresses.empty() && group.addresses.size() <= limits::group_addresses);
        HAMR_ASSERT(group.prefer.size() == routers);
        for (const std::string& name : group.prefer) {
            const Node* const node = config.find_node(name);
            HAMR_ASSERT(node != nullptr && node->role == NodeRole::router);
        }
    }
}

void expect_complete(const Config& config) {
    HAMR_ASSERT(!config.cluster.empty() && !config.key_file.empty());
    HAMR_ASSERT(!config.nodes.empty() && config.nodes.size() <= limits::nodes);
    for (const Node& node : config.nodes) {
        HAMR_ASSERT(!node.addresses.empty() && node.addresses.size() <= limits::node_addresses);
    }
    expect_groups(config);
    HAMR_ASSERT(config.heartbeat.interval >= std::chrono::milliseconds(2));
    HAMR_ASSERT(config.heartbeat.misses >= 2 && config.heartbeat.misses <= 20);
    HAMR_ASSERT(config.lease() <= limits::lease && config.heartbeat.port != 0);
    const Router& router = config.router;
    HAMR_ASSERT(router.backends.size() <= limits::backends);
    HAMR_ASSERT(router.routes.size() <= limits::routes && config.health.size() <= limits::checks);
    const bool embedded = router.kind == RouterKind::embedded;
    HAMR_ASSERT(embedded == !router.routes.empty() && embedded == !router.backends.empty());
}

void expect_told(const Problem& problem, const std::string& file) {
    const auto lines = std::count(file.begin(), file.end(), '\n') + 1;
    HAMR_ASSERT(!problem.message.empty() && is_one_line(problem.to_string()));
    HAMR_ASSERT(problem.place.line >= 0 && problem.place.line <= lines + 1);
    HAMR_ASSERT(problem.message.size() <= 1024);
}

void run(Bytes input) {
    const std::string file(as_text(input));
    try {
        const Loaded loaded = parse(file, "f");
        expect_complete(loaded.config);
        for (const Problem& warning : loaded.warnings) expect_told(warning, file);
        HAMR_ASSERT(parse(file, "f").config == loaded.config);
    } catch (const ConfigError& error) {
        HAMR_ASSERT(!error.problems().empty());
        HAMR_ASSERT(error.problems().size() <= Report::max_problems + 1);
        for (const Problem& problem : error.problems()) expect_told(problem, file);
    }
}

}  // namespace

const Target config{"config", run, 1 << 20, 1024};

}  // namespace hamr::fuzz
