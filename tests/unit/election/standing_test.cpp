// SPDX-License-Identifier: GPL-2.0-or-later
// Standing and leading by majority: docs/protocol.md, rules M4, M8 to M17.

#include "tests/unit/election/node.hpp"

namespace hamr::election::testing {

namespace {

/// Node a of three, the best ranked.
class Asker : public ::testing::Test {
  protected:
    void SetUp() override {
        node.welcome({&b, &c});
        ASSERT_EQ(node.word().claim, Claim::asking);
    }
    [[nodiscard]] BootTime gate() const { return node.last<SetGate>().until; }
    [[nodiscard]] Term term() const { return node.word().term; }

    Node node;
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    const NodeId a = Node::id("a");
};

TEST_F(Asker, M12_stands_with_the_support_of_a_majority) {
    b.word.supports = a;
    node.hear(b);
    EXPECT_EQ(node.word().claim, Claim::candidate);
    EXPECT_EQ(node.word().promised_to, a) << "M4: its own vote is a promise";
}

TEST_F(Asker, M12_support_counts_only_from_frames_that_echo_its_asking) {
    b.echo = Echo{a, own_boot, Sequence{1}, {}};
    b.word.supports = a;
    node.hear(b);
    EXPECT_EQ(node.word().claim, Claim::asking);
}

TEST_F(Asker, M12_support_for_another_does_not_count) {
    b.word.supports = c.id;
    node.hear(b);
    EXPECT_EQ(node.word().claim, Claim::asking);
}

TEST_F(Asker, M7_support_of_other_configurations_does_not_count) {
    b.word.supports = a;
    b.mode = Mode::none;
    node.hear(b);
    EXPECT_EQ(node.word().claim, Claim::asking);
}

TEST_F(Asker, M8_the_lease_counts_from_the_sending_of_the_frame_that_is_echoed) {
    b.word.supports = a;
    node.hear(b);
    const BootTime sent = node.now;
    b.promise(a, term());
    const Frame late = node.frame(b);
    node.run(interval * 3 / 2);  // newer frames are on their way: b has not heard them
    node.hear(late);
    ASSERT_EQ(node.state(), State::leader);
    EXPECT_EQ(gate(), sent + usable_);
}

TEST_F(Asker, M8_an_echo_without_the_promise_gives_nothing) {
    b.word.supports = a;
    node.hear(b);
    b.promise(c.id, term());
    node.hear(b);
    b.promise(a, Term{term().value - 1});
    node.hear(b);
    EXPECT_EQ(node.state(), State::candidate);
}

TEST_F(Asker, M8_an_echo_that_is_too_old_gives_nothing) {
    b.word.supports = a;
    node.hear(b);
    b.promise(a, term());
    b.deaf = true;
    node.now += usable_;
    node.hear(b);
    EXPECT_EQ(node.state(), State::candidate);
}

TEST_F(Asker, M8_a_promise_to_an_earlier_life_gives_nothing) {
    b.word.supports = a;
    node.hear(b);
    b.promise(a, term());
    Frame greeted = node.frame(b);
    const Echo present = greeted.echoes.front();
    Echo earlier = present;
    earlier.boot = BootId{0xdead};
    greeted.echoes = {earlier, present};
    node.hear(greeted);
    EXPECT_EQ(node.state(), State::candidate) << "b has not confirmed this life yet";
    node.hear(b);
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(Asker, M8_the_promise_of_who_is_not_compatible_gives_nothing) {
    b.word.supports = a;
    node.hear(b);
    b.promise(a, term());
    b.mode = Mode::none;
    node.hear(b);
    EXPECT_EQ(node.state(), State::candidate);
}

TEST_F(Asker, M14_gives_up_when_it_hears_a_leader) {
    c.claim(Claim::leader, 3);
    node.hear(c);
    EXPECT_EQ(node.state(), State::follower);
    EXPECT_EQ(node.status().leader, c.id);
}

TEST_F(Asker, M14_a_candidate_that_hears_a_leader_releases) {
    b.word.supports = a;
    node.hear(b);
    const Term claimed = term();
    c.claim(Claim::leader, 9);
    node.hear(c);
    EXPECT_EQ(node.word().claim, Claim::none);
    EXPECT_EQ(node.word().released, claimed);
}

TEST_F(Asker, M14_yields_to_a_better_asker_but_not_for_ever) {
    node.health(10);
    b.claim(Claim::asking, 1);
    node.hear(b);
    EXPECT_EQ(node.state(), State::follower);
    node.run_with(lease * 2 + interval, {&b});
    EXPECT_EQ(node.state(), State::candidate) << "who reaches no majority keeps nobody back";
}

TEST_F(Asker, M15_gives_up_without_a_majority_within_D) {
    b.word.supports = a;
    node.hear(b);
    const Term claimed = term();
    node.run(lease - 1ms);
    EXPECT_EQ(node.word().claim, Claim::candidate);
    node.run(1ms);
    EXPECT_EQ(node.word().claim, Claim::none);
    EXPECT_EQ(node.word().released, claimed);
}

TEST_F(Asker, M16_the_term_is_newer_than_any_that_is_known) {
    c.word.seen = Term{41};
    node.hear(c);
    b.word.supports = a;
    node.hear(b);
    EXPECT_EQ(term(), Term{42});
}

TEST_F(Asker, M16_a_wish_of_an_asker_does_not_count) {
    c.claim(Claim::asking, 99);
    node.hear(c);
    b.word.supports = a;
    node.hear(b);
    EXPECT_EQ(term(), Term{1});
}

TEST_F(Asker, W11_at_the_last_term_nobody_stands_and_nobody_falls_over) {
    c.word.seen = last_term;
    node.hear(c);
    EXPECT_EQ(node.state(), State::follower);
    b.word.supports = a;
    node.hear(b);
    node.run_with(lease * 4, {&b, &c});
    EXPECT_EQ(node.state(), State::follower);
    EXPECT_LE(node.word().term, last_term);
}

TEST(Standing, M11_the_better_ranked_go_first_by_an_interval_each) {
    Node node(Plan{.prefer = {"c", "b", "a"}});
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    node.welcome({&b, &c});
    node.run(interval * 2 - 1ms);
    EXPECT_EQ(node.state(), State::follower);
    node.run(1ms);
    EXPECT_EQ(node.state(), State::candidate);
}

TEST(Standing, M11_demotion_goes_before_preference) {
    Node node(Plan{.prefer = {"c", "b", "a"}});
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    b.demotion = c.demotion = 5;
    node.welcome({&b, &c});
    EXPECT_EQ(node.state(), State::candidate);
}

TEST(Standing, M11_the_drained_and_the_silent_are_not_waited_for) {
    Node node(Plan{.prefer = {"c", "b", "a"}});
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    b.drained = c.drained = true;
    node.welcome({&b, &c});
    EXPECT_EQ(node.state(), State::candidate);
}

TEST(Standing, a_witness_never_stands) {
    Node node(Plan{.witnesses = {"a"}, .prefer = {"b", "c"}});
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    node.welcome({&b, &c});
    node.run(1s);
    EXPECT_EQ(node.state(), State::witness);
}

class Leader : public Asker {
  protected:
    void SetUp() override {
        Asker::SetUp();
        node.make_leader(b);
        led = term();
        node.forget();
    }
    Term led;
};

TEST_F(Leader, M9_shuts_the_gate_then_tells) {
    node.run(usable_);
    EXPECT_NE(node.state(), State::leader);
    const auto shut = std::find_if(node.actions.begin(), node.actions.end(), [&](const Action& it) {
        const auto* gate = std::get_if<SetGate>(&it);
        return gate != nullptr && gate->until <= node.now;
    });
    const auto tells =
        std::find_if(node.actions.begin(), node.actions.end(), [&](const Action& it) {
            const auto* send = std::get_if<Send>(&it);
            return send != nullptr && send->frame.groups[0].released == led;
        });
    ASSERT_NE(shut, node.actions.end());
    ASSERT_NE(tells, node.actions.end());
    EXPECT_LT(shut, tells);
    EXPECT_EQ(node.all<StepDown>().size(), 1U);
}

TEST_F(Leader, M8_leads_as_long_as_a_majority_acknowledges) {
    node.run_with(1s, {&b});
    EXPECT_EQ(node.state(), State::leader);
    EXPECT_EQ(node.status().votes, 2);
}

TEST_F(Leader, M8_one_lost_frame_is_tolerated) {
    for (int i = 0; i < 20; ++i) {
        node.run(interval * 2);
        node.hear(b);
    }
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(Leader, M10_the_release_is_told_in_every_frame) {
    node.run(lease);
    for (int i = 0; i < 5; ++i) {
        node.run(interval * 2);
        EXPECT_GE(node.word().released, led);
    }
}

TEST_F(Leader, M10_acknowledgements_after_the_release_give_nothing) {
    node.run(usable_);
    ASSERT_NE(node.state(), State::leader);
    node.forget();
    node.hear(b);  // still says that it has promised
    EXPECT_NE(node.state(), State::leader);
    EXPECT_TRUE(node.all<SetGate>().empty());
}

TEST_F(Leader, M17_raises_its_term_above_that_of_a_voter_that_it_has_lost) {
    c.word.seen = Term{7};
    node.hear(c);
    EXPECT_EQ(node.word().term, Term{8});
    EXPECT_EQ(node.state(), State::leader);
    c.word.seen = Term{20};
    node.hear(c);
    EXPECT_EQ(node.word().term, Term{8}) << "at most once every D";
}

TEST_F(Leader, M17_not_above_the_last_term) {
    c.word.seen = last_term;
    node.hear(c);
    EXPECT_EQ(node.word().term, led);
    node.run_with(lease * 4, {&b, &c});
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(Leader, H14_a_peer_that_exchanges_frames_again_makes_it_announce_again) {
    const auto announced_again = [&] { return node.all<AnnounceAgain>().size(); };
    node.announced(led);
    node.run_with(1s, {&b, &c});
    EXPECT_EQ(announced_again(), 0U);
    node.run_with(lease * 3, {&b});
    node.hear(c);
    ASSERT_EQ(announced_again(), 1U);
    EXPECT_EQ(node.all<AnnounceAgain>()[0].reason, "c is heard again");
    // A link that comes and goes does not flood the network.
    for (int i = 0; i < 5; ++i) {
        node.run_with(lease * 3, {&b});
        node.hear(c);
    }
    EXPECT_EQ(announced_again(), 1U);
    node.run_with(1s, {&b, &c});
    EXPECT_EQ(announced_again(), 2U);
}

TEST_F(Leader, H14_frames_must_get_through_both_ways) {
    node.announced(led);
    node.hear(c);
    c.deaf = true;
    node.run_with(lease * 10, {&b, &c});
    EXPECT_TRUE(node.all<AnnounceAgain>().empty());
    c.deaf = false;
    node.hear(c);
    EXPECT_EQ(node.all<AnnounceAgain>().size(), 1U);
}

TEST_F(Leader, M1_grants_nobody) {
    c.claim(Claim::candidate, 50);
    c.wants_answer = true;
    node.hear(c);
    EXPECT_EQ(node.word().promised_to, a);
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(Leader, M9_held_up_for_longer_than_its_lease_it_does_not_use_what_waits) {
    // SIGSTOP, SIGCONT: the frames in the socket are read before any alarm rings.
    const Frame waiting = [&] {
        b.wants_answer = true;
        return node.frame(b);
    }();
    node.now += usable_ + 1ms;
    node.hear(waiting);
    EXPECT_NE(node.state(), State::leader);
    for (const SetGate& gate : node.all<SetGate>()) EXPECT_LE(gate.until, node.now);
}

}  // namespace

}  // namespace hamr::election::testing
