// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/backends.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {
namespace {

using mysql::FailureKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const Endpoint a = *Endpoint::parse("192.0.2.21:3306");
const Endpoint b = *Endpoint::parse("192.0.2.22:3306");
const Endpoint c = *Endpoint::parse("192.0.2.23:3306");

/// Backends with a clock that steps by one millisecond per observation.
class BackendsTest : public testing::Test {
  protected:
    static BackendsConfig config(bool by_order = false) {
        BackendsConfig config;
        config.servers = {a, b, c};
        config.routes = {{"rw", 6446, Role::primary, true}, {"ro", 6447, Role::secondary, true}};
        config.roles_by_order = by_order;
        return config;
    }

    std::vector<Change> role(const Endpoint& server, bool read_only, bool super = false) {
        Observation seen;
        seen.begun_at = now_ += std::chrono::milliseconds(1);
        seen.read_only = read_only;
        if (super) seen.super_read_only = true;
        seen.version = "10.11";
        return backends_.observe(server, seen);
    }
    std::vector<Change> alive(const Endpoint& server) {
        Observation seen;
        seen.begun_at = now_ += std::chrono::milliseconds(1);
        return backends_.observe(server, seen);
    }
    std::vector<Change> fails(const Endpoint& server, FailureKind kind) {
        Observation seen;
        seen.begun_at = now_ += std::chrono::milliseconds(1);
        seen.failure = mysql::Failure{kind, 0, to_string(kind)};
        return backends_.observe(server, seen);
    }
    void source_and_two_replicas() {
        (void)role(a, false);
        (void)role(b, true);
        (void)role(c, true);
    }
    [[nodiscard]] std::vector<Endpoint> rw() const { return backends_.plan()[0].backends; }
    [[nodiscard]] std::vector<Endpoint> ro() const { return backends_.plan()[1].backends; }

    BootTime now_{};
    Backends backends_{config()};
};

TEST_F(BackendsTest, routes_follow_roles) {
    source_and_two_replicas();
    EXPECT_THAT(rw(), ElementsAre(a));
    EXPECT_THAT(ro(), ElementsAre(b, c));
    const Verdict verdict = backends_.verdict();
    EXPECT_EQ(verdict.state, RouterState::serving);
    EXPECT_EQ(verdict.demotion, 0u);
    EXPECT_THAT(verdict.warnings, IsEmpty());
    EXPECT_EQ(verdict.begun_at, BootTime{std::chrono::milliseconds(1)});
    EXPECT_EQ(backends_.view()[0].topology, "source-replica");
    EXPECT_EQ(backends_.view()[0].version, "10.11");
}

TEST_F(BackendsTest, before_all_have_been_asked_the_host_is_demoted) {
    EXPECT_EQ(backends_.verdict().state, RouterState::failed);
    EXPECT_EQ(backends_.verdict().demotion, demotion_not_asked);
    EXPECT_EQ(backends_.view()[0].error, "not asked yet");
    (void)role(a, true);
    EXPECT_EQ(backends_.verdict().demotion, demotion_not_asked) << "b may be the primary";
    (void)role(b, false);
    EXPECT_EQ(backends_.verdict().demotion, 0u) << "what is served need not wait for c";
}

TEST_F(BackendsTest, R1_one_observation_changes_a_role) {
    source_and_two_replicas();
    const auto demoted = role(a, true);
    ASSERT_THAT(demoted, SizeIs(1));
    EXPECT_EQ(demoted[0].from, "up, primary");
    EXPECT_EQ(demoted[0].to, "up, secondary");
    EXPECT_EQ(demoted[0].reason, "read-only");
    EXPECT_THAT(rw(), IsEmpty());
    EXPECT_EQ(backends_.verdict().state, RouterState::degraded);
    EXPECT_EQ(backends_.verdict().demotion, demotion_route_lost);
    EXPECT_THAT(backends_.verdict().reason, HasSubstr("no backend for rw: 192.0.2.21:3306"));
    const auto promoted = role(b, false);
    ASSERT_THAT(promoted, SizeIs(1));
    EXPECT_EQ(promoted[0].to, "up, primary");
    EXPECT_THAT(rw(), ElementsAre(b));
    EXPECT_THAT(ro(), ElementsAre(a, c));
}

TEST_F(BackendsTest, R1_super_read_only_alone_is_not_writable) {
    (void)role(a, false, true);
    EXPECT_EQ(backends_.view()[0].role, Role::secondary);
}

TEST_F(BackendsTest, R2_refused_is_down_at_once) {
    source_and_two_replicas();
    const auto changes = fails(a, FailureKind::refused);
    ASSERT_THAT(changes, SizeIs(1));
    EXPECT_EQ(changes[0].to, "down, primary");
    EXPECT_EQ(changes[0].reason, "connection refused");
    EXPECT_THAT(rw(), IsEmpty());
}

TEST_F(BackendsTest, R2_silence_must_be_repeated) {
    source_and_two_replicas();
    EXPECT_THAT(fails(a, FailureKind::timeout), IsEmpty());
    EXPECT_THAT(rw(), ElementsAre(a));
    EXPECT_EQ(backends_.verdict().begun_at, BootTime{std::chrono::milliseconds(1)})
        << "serving rests on the last good answer";
    EXPECT_THAT(fails(a, FailureKind::timeout), SizeIs(1));
    EXPECT_THAT(rw(), IsEmpty());
    EXPECT_THAT(role(a, false), SizeIs(1));
    EXPECT_THAT(rw(), ElementsAre(a));
}

TEST_F(BackendsTest, R3_a_server_that_refuses_the_monitor_keeps_its_role) {
    source_and_two_replicas();
    EXPECT_THAT(fails(a, FailureKind::access_denied), IsEmpty());
    EXPECT_THAT(rw(), ElementsAre(a));
    const Verdict verdict = backends_.verdict();
    ASSERT_THAT(verdict.warnings, SizeIs(1));
    EXPECT_THAT(verdict.warnings[0].what, HasSubstr("cannot be monitored: access denied"));
}

TEST_F(BackendsTest, R3_a_wrong_password_from_the_start_makes_no_primary) {
    for (const Endpoint& server : {a, b, c}) (void)fails(server, FailureKind::access_denied);
    EXPECT_EQ(backends_.view()[0].state, BackendState::up);
    EXPECT_EQ(backends_.view()[0].role, Role::unknown);
    EXPECT_THAT(rw(), IsEmpty());
    EXPECT_THAT(ro(), IsEmpty());
    EXPECT_EQ(backends_.verdict().state, RouterState::failed);
    EXPECT_EQ(backends_.verdict().demotion, demotion_all_lost);
    EXPECT_THAT(backends_.verdict().reason, HasSubstr("access denied"));
}

TEST_F(BackendsTest, R4_two_writable_servers_the_known_primary_stays) {
    source_and_two_replicas();
    const auto changes = role(b, false);
    ASSERT_THAT(changes, SizeIs(1));
    EXPECT_EQ(changes[0].reason, "writable, while 192.0.2.21:3306 is the primary");
    for (int i = 0; i < 3; ++i) {
        EXPECT_THAT(role(a, false), IsEmpty());
        EXPECT_THAT(role(b, false), IsEmpty());
        EXPECT_THAT(rw(), ElementsAre(a));
        EXPECT_THAT(ro(), ElementsAre(c)) << "nothing new to the other";
    }
    ASSERT_THAT(backends_.verdict().warnings, SizeIs(1));
    EXPECT_THAT(backends_.verdict().warnings[0].what,
                HasSubstr("two writable servers: 192.0.2.22"));
    (void)role(a, true);
    EXPECT_THAT(rw(), ElementsAre(b)) << "the conflict is over";
    EXPECT_THAT(backends_.verdict().warnings, IsEmpty());
}

TEST_F(BackendsTest, R4_a_stale_role_yields_to_a_fresh_one) {
    source_and_two_replicas();
    (void)fails(a, FailureKind::timeout);
    (void)role(b, false);
    EXPECT_THAT(rw(), ElementsAre(b));
}

TEST_F(BackendsTest, the_primary_that_comes_back_is_the_primary) {
    source_and_two_replicas();
    (void)fails(a, FailureKind::refused);
    EXPECT_EQ(backends_.view()[0].role, Role::primary);
    EXPECT_EQ(backends_.view()[0].state, BackendState::down);
    (void)role(a, false);
    EXPECT_THAT(rw(), ElementsAre(a));
}

TEST_F(BackendsTest, ro_falls_back_to_the_primary) {
    source_and_two_replicas();
    (void)fails(b, FailureKind::refused);
    EXPECT_EQ(backends_.verdict().state, RouterState::serving) << "one secondary is enough";
    (void)fails(c, FailureKind::refused);
    EXPECT_THAT(ro(), ElementsAre(a));
    EXPECT_EQ(backends_.verdict().state, RouterState::degraded);
    EXPECT_EQ(backends_.verdict().demotion, 0u) << "every route is served";
    EXPECT_EQ(backends_.verdict().reason, "no secondary: ro leads to the primary");
}

TEST_F(BackendsTest, R5_without_an_account_the_first_that_is_up_is_the_primary) {
    backends_ = Backends(config(true));
    (void)fails(a, FailureKind::refused);
    (void)alive(b);
    (void)alive(c);
    EXPECT_THAT(rw(), ElementsAre(b));
    EXPECT_THAT(ro(), ElementsAre(c));
    ASSERT_THAT(backends_.verdict().warnings, SizeIs(1));
    EXPECT_THAT(backends_.verdict().warnings[0].what, HasSubstr("roles are not watched"));
    (void)alive(a);
    EXPECT_THAT(rw(), ElementsAre(a));
}

TEST_F(BackendsTest, draining_gets_nothing_new) {
    source_and_two_replicas();
    EXPECT_TRUE(backends_.drain(b, true));
    EXPECT_FALSE(backends_.drain(*Endpoint::parse("192.0.2.99:3306"), true));
    EXPECT_THAT(ro(), ElementsAre(c));
    EXPECT_EQ(backends_.view()[1].state, BackendState::draining);
    EXPECT_TRUE(backends_.drain(b, false));
    EXPECT_THAT(ro(), ElementsAre(b, c));
}

TEST_F(BackendsTest, overtaken_and_foreign_observations_change_nothing) {
    source_and_two_replicas();
    Observation late;
    late.begun_at = BootTime{};
    late.read_only = true;
    EXPECT_THAT(backends_.observe(a, late), IsEmpty());
    EXPECT_THAT(role(*Endpoint::parse("192.0.2.99:3306"), false), IsEmpty());
    EXPECT_THAT(rw(), ElementsAre(a));
}

TEST_F(BackendsTest, no_routes_is_off) {
    EXPECT_EQ(Backends({}).verdict().state, RouterState::off);
    EXPECT_EQ(Backends({}).verdict().demotion, 0u);
}

TEST_F(BackendsTest, R6_a_draining_backend_gets_nothing_new_and_keeps_its_role) {
    source_and_two_replicas();
    EXPECT_TRUE(backends_.drain(b, true));
    EXPECT_THAT(ro(), ElementsAre(c));
    EXPECT_EQ(backends_.view()[1].state, BackendState::draining);
    EXPECT_TRUE(backends_.view()[1].draining);
    EXPECT_EQ(backends_.view()[1].role, Role::secondary);
    EXPECT_THAT(backends_.drained_routes(), IsEmpty());
    EXPECT_TRUE(backends_.drain(c, true));
    EXPECT_THAT(ro(), ElementsAre(a)) << "falls back";
    EXPECT_TRUE(backends_.drain(b, false));
    EXPECT_THAT(ro(), ElementsAre(b));
}

TEST_F(BackendsTest, R6_a_draining_backend_that_is_down_shows_both) {
    source_and_two_replicas();
    (void)backends_.drain(b, true);
    (void)fails(b, FailureKind::refused);
    EXPECT_EQ(backends_.view()[1].state, BackendState::down);
    EXPECT_TRUE(backends_.view()[1].draining);
}

TEST_F(BackendsTest, R6_a_route_drained_of_all_is_told_and_demotes_nobody) {
    source_and_two_replicas();
    (void)backends_.drain(a, true);
    EXPECT_THAT(rw(), IsEmpty());
    EXPECT_THAT(backends_.drained_routes(), ElementsAre("rw"));
    Verdict verdict = backends_.verdict();
    EXPECT_EQ(verdict.state, RouterState::degraded);
    EXPECT_EQ(verdict.demotion, 0U);
    EXPECT_THAT(verdict.reason, HasSubstr("no backend for rw: 192.0.2.21:3306 draining"));
    ASSERT_THAT(verdict.warnings, SizeIs(1));
    EXPECT_EQ(verdict.warnings[0].what,
              "route rw leads nowhere: what could serve it is draining (192.0.2.21:3306)");
    for (const Endpoint& server : {b, c}) (void)backends_.drain(server, true);
    EXPECT_EQ(backends_.verdict().state, RouterState::failed);
    EXPECT_EQ(backends_.verdict().demotion, 0U);
    // What is lost besides counts, drained or not.
    (void)fails(a, FailureKind::refused);
    EXPECT_EQ(backends_.verdict().demotion, demotion_route_lost);
    for (const Endpoint& server : {b, c}) (void)fails(server, FailureKind::refused);
    EXPECT_EQ(backends_.verdict().demotion, demotion_all_lost);
}

}  // namespace
}  // namespace hamr::router
