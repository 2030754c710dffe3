// SPDX-License-Identifier: GPL-2.0-or-later
// The words of the configuration are those of the rooms.
#include "agent/config/config.hpp"
#include "agent/config/kinds.hpp"
#include "health/probe.hpp"
#include "router/providers/provider.hpp"

#include <cstddef>

#include <gmock/gmock.h>

namespace hamr::config {
namespace {

TEST(KindWords, OfRoutersAreThoseOfTheirProviders) {
    Router router;
    router.kind = RouterKind::supervised;
    for (std::size_t i = first_supervised; i < router_kinds.size(); ++i) {
        router.provider.kind = static_cast<router::ProviderKind>(i - first_supervised);
        EXPECT_EQ(router.kind_name(), router::to_string(router.provider.kind));
        EXPECT_EQ(router.kind_name(), router_kinds[i]);
    }
}

TEST(KindWords, OfChecksAreThoseOfTheirProbes) {
    const health::ProbeSpec probes[] = {health::ProcessProbe{}, health::TcpProbe{},
                                        health::MysqlProbe{}, health::HttpProbe{},
                                        health::CommandProbe{}};
    for (const health::ProbeSpec& probe : probes) {
        EXPECT_EQ(health::kind_of(probe), check_kinds[probe.index()]);
    }
}

}  // namespace
}  // namespace hamr::config
