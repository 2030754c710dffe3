// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/backends.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// R7: with which backends flows go on that are there already.

namespace hamr::router {
namespace {

using mysql::FailureKind;
using testing::HasSubstr;

const Endpoint a = *Endpoint::parse("192.0.2.21:3306");
const Endpoint b = *Endpoint::parse("192.0.2.22:3306");
constexpr std::uint16_t rw = 6446;
constexpr std::uint16_t ro = 6447;

BootTime at(int ms) {
    return BootTime{std::chrono::milliseconds(ms)};
}

/// A clock that steps by one millisecond per observation.
struct StandingsTest : testing::Test {
    static BackendsConfig config(bool by_order = false, unsigned rise = 1) {
        BackendsConfig config;
        config.servers = {a, b};
        config.routes = {{"rw", rw, Role::primary, true}, {"ro", ro, Role::secondary, true}};
        config.roles_by_order = by_order;
        config.rise = rise;
        return config;
    }

    void see(const Endpoint& server, std::optional<bool> read_only,
             std::optional<FailureKind> failure = {}) {
        Observation seen;
        seen.begun_at = at(++now);
        seen.read_only = read_only;
        if (failure) seen.failure = mysql::Failure{*failure, 0, to_string(*failure)};
        (void)backends.observe(server, seen);
    }
    void fails(const Endpoint& server, FailureKind kind) { see(server, {}, kind); }
    Standing of(std::uint16_t port, const Endpoint& server) const {
        for (const Standing& standing : backends.standings()) {
            if (standing.port == port && standing.backend == server) return standing;
        }
        ADD_FAILURE() << "no standing of " << server.to_string();
        return {};
    }
    bool goes_on(std::uint16_t port, const Endpoint& server) const {
        return of(port, server).goes_on;
    }
    /// rw of a, ro of a, rw of b, ro of b.
    std::string all() const {
        std::string text;
        for (const Endpoint& server : {a, b}) {
            for (const std::uint16_t port : {rw, ro}) text += goes_on(port, server) ? '+' : '-';
        }
        return text;
    }
    void source_and_replica() {
        see(a, false);
        see(b, true);
    }

    int now = 0;
    Backends backends{config()};
};

TEST_F(StandingsTest, R7_who_has_not_been_asked_keeps_what_it_has) {
    EXPECT_EQ(all(), "++++");
    EXPECT_EQ(backends.standings().size(), 4U);
    see(a, false);
    EXPECT_EQ(all(), "++++") << "b may be anything";
}

TEST_F(StandingsTest, R7_a_secondary_serves_no_writes) {
    source_and_replica();
    EXPECT_EQ(all(), "++-+");
    EXPECT_THAT(of(rw, b).why, HasSubstr("read-only"));
    EXPECT_EQ(of(rw, b).begun_at, at(2));
    EXPECT_EQ(of(rw, a).why, "");
}

TEST_F(StandingsTest, R7_refused_is_the_end_at_once) {
    source_and_replica();
    fails(a, FailureKind::refused);
    EXPECT_EQ(all(), "---+");
    EXPECT_EQ(of(ro, a).why, "down: connection refused");
    EXPECT_EQ(of(ro, a).begun_at, at(3));
    fails(a, FailureKind::refused);
    EXPECT_EQ(of(ro, a).begun_at, at(4)) << "each says it all by itself";
}

TEST_F(StandingsTest, R7_silence_is_the_end_when_it_is_repeated) {
    source_and_replica();
    fails(b, FailureKind::timeout);
    EXPECT_EQ(all(), "++-+");
    fails(b, FailureKind::timeout);
    EXPECT_EQ(all(), "++--");
    EXPECT_EQ(of(ro, b).begun_at, at(3)) << "the first of two that it takes";
    fails(b, FailureKind::lost);
    EXPECT_EQ(of(ro, b).begun_at, at(4)) << "the newest two";
    fails(b, FailureKind::no_route);
    EXPECT_EQ(of(ro, b).begun_at, at(5)) << "may come of the silence before";
}

TEST_F(StandingsTest, R7_a_missing_route_is_the_end_at_once_where_all_was_well) {
    source_and_replica();
    fails(a, FailureKind::no_route);
    EXPECT_FALSE(goes_on(ro, a));
    EXPECT_EQ(of(ro, a).begun_at, at(3));
}

TEST_F(StandingsTest, R7_a_first_silence_after_the_start_is_none) {
    fails(a, FailureKind::timeout);
    EXPECT_EQ(all(), "++++") << "not up, but not down either";
    fails(a, FailureKind::timeout);
    EXPECT_EQ(all(), "--++");
}

TEST_F(StandingsTest, R7_who_must_answer_several_times_is_not_dead_meanwhile) {
    backends = Backends(config(false, 3));
    source_and_replica();
    EXPECT_EQ(all(), "++-+");
}

TEST_F(StandingsTest, R7_who_comes_back_may_go_on) {
    source_and_replica();
    fails(a, FailureKind::refused);
    see(a, false);
    EXPECT_EQ(all(), "++-+");
}

TEST_F(StandingsTest, R7_a_demoted_primary_goes_on_for_reads_and_a_promoted_secondary_too) {
    source_and_replica();
    see(a, true);
    EXPECT_EQ(all(), "-+-+");
    EXPECT_EQ(of(rw, a).begun_at, at(3));
    see(b, false);
    EXPECT_EQ(all(), "-+++");
}

TEST_F(StandingsTest, R7_a_stale_role_counts_from_when_it_was_told) {
    source_and_replica();
    see(a, true);
    fails(a, FailureKind::too_many_connections);
    EXPECT_EQ(all(), "-+-+");
    EXPECT_EQ(of(rw, a).begun_at, at(3)) << "nothing was said of its role since";
}

TEST_F(StandingsTest, R7_of_two_writable_ones_the_known_primary_keeps_its_writes) {
    source_and_replica();
    see(b, false);
    EXPECT_EQ(all(), "++-+");
    EXPECT_THAT(of(rw, b).why, HasSubstr(a.to_string()));
    EXPECT_EQ(of(rw, b).begun_at, at(1)) << "rests on both of what they said";
}

TEST_F(StandingsTest, R7_a_stale_primary_is_displaced_by_a_fresh_one) {
    source_and_replica();
    fails(a, FailureKind::access_denied);
    EXPECT_EQ(all(), "++-+") << "R3: it keeps its role";
    see(b, false);
    EXPECT_EQ(all(), "-+++");
    EXPECT_EQ(of(rw, a).begun_at, at(3));
}

TEST_F(StandingsTest, R7_draining_ends_nothing) {
    source_and_replica();
    EXPECT_TRUE(backends.drain(a, true));
    EXPECT_TRUE(backends.drain(b, true));
    EXPECT_EQ(all(), "++-+");
}

TEST_F(StandingsTest, R7_without_roles_the_first_that_is_up_displaces_the_others) {
    backends = Backends(config(true));
    fails(a, FailureKind::refused);
    see(b, {});
    EXPECT_EQ(all(), "--++");
    see(a, {});
    EXPECT_EQ(all(), "++-+");
}

}  // namespace
}  // namespace hamr::router
