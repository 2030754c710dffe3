// SPDX-License-Identifier: GPL-2.0-or-later
// Mode none: docs/protocol.md, rules N1 to N7.

#include "tests/unit/election/node.hpp"

namespace hamr::election::testing {

namespace {

class None : public ::testing::Test {
  protected:
    explicit None(std::vector<std::string> prefer = {"a", "b", "c"})
        : node(Plan{.mode = Mode::none, .prefer = std::move(prefer)}) {
        b.mode = c.mode = Mode::none;
    }
    void lead() {
        node.run(lease);
        ASSERT_EQ(node.state(), State::leader);
        term = node.word().term;
        node.forget();
    }
    [[nodiscard]] std::size_t announced_again() const { return node.all<AnnounceAgain>().size(); }

    Node node;
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    Term term;
};

struct NoneLast : None {
    NoneLast() : None({"b", "c", "a"}) {}
};

TEST_F(None, N1_a_node_that_has_just_started_waits_D_first) {
    node.run(lease - 1ms);
    EXPECT_EQ(node.state(), State::follower);
    node.run(1ms);
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(NoneLast, N1_each_worse_ranked_that_lives_waits_an_interval_more) {
    node.hear(b);
    node.run_with(lease - 1ms, {&b, &c});
    node.run(interval * 2);
    EXPECT_EQ(node.state(), State::follower);
    node.run(1ms);
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(NoneLast, N1_silence_of_the_leader_for_D_is_enough) {
    b.claim(Claim::leader, 1);
    node.run_with(200ms, {&b});
    node.run(lease - 1ms);
    EXPECT_EQ(node.state(), State::follower);
    node.run(1ms);
    EXPECT_EQ(node.state(), State::leader);
    EXPECT_GT(node.word().term, Term{1});
}

// Simulator seed 33594: it expected its next alarm later than the silence was complete.
TEST_F(NoneLast, N1_held_up_while_the_silence_became_complete_it_reads_first) {
    b.claim(Claim::leader, 1);
    node.run_with(200ms, {&b});
    node.run(25ms);
    node.now += 5500us;
    node.tick();
    EXPECT_EQ(node.state(), State::follower);
    node.hear(b);
    node.run(lease - 1ms);
    EXPECT_EQ(node.state(), State::follower);
}

// Simulator seed 45264: the leader's frames had waited, but only greeted; to be confirmed takes two
// flights more.
TEST_F(None, N1_held_up_it_lets_those_prove_themselves_that_it_has_never_heard) {
    node.run(lease - 5ms);
    node.now += 7ms;
    node.tick();
    node.run(interval / 2 - 1ms);
    EXPECT_EQ(node.state(), State::follower);
    b.claim(Claim::leader, 1);
    node.hear(b);
    node.run(lease - 1ms);
    EXPECT_EQ(node.state(), State::follower);
}

// Simulator seed 52860: once the time to hold back was over, nobody counted the better ranked.
TEST_F(NoneLast, H8_who_has_held_back_for_a_successor_still_waits_for_the_better_ranked) {
    b.claim(Claim::leader, 1);
    node.run_with(200ms, {&b, &c});
    b.release(1, c.id);
    node.hear(b);
    const Duration hold_back = lease + interval;
    node.run_with(hold_back + interval, {&b, &c});
    EXPECT_EQ(node.state(), State::follower);
    node.run(interval);
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(None, N2_the_gate_is_open_until_the_usable_part_of_D_after_the_last_frame) {
    lead();
    for (int i = 0; i < 5; ++i) {
        node.now = node.next_wakeup();
        node.tick();
    }
    ASSERT_EQ(node.all<Send>().size(), 5U);
    EXPECT_EQ(node.last<SetGate>().until, node.now + usable_);
}

TEST_F(None, N2_an_agent_that_hung_leads_no_longer) {
    lead();
    node.now += usable_;
    node.tick();
    EXPECT_EQ(node.state(), State::follower);
    for (const SetGate& gate : node.all<SetGate>()) EXPECT_LE(gate.until, node.now);
    node.run(lease - 1ms);
    EXPECT_EQ(node.state(), State::follower) << "somebody may lead by now: it listens first";
}

TEST_F(None, N3_nothing_is_settled_before_both_know_of_each_other) {
    lead();
    b.deaf = true;
    b.claim(Claim::leader, 9);
    node.hear(b);
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(None, N3_the_lower_demotion_stays) {
    node.health(1);
    lead();
    b.claim(Claim::leader, 1);
    node.hear(b);
    node.run(interval);
    node.hear(b);
    EXPECT_EQ(node.state(), State::follower);
}

TEST_F(None, N3_then_the_higher_term) {
    lead();
    b.claim(Claim::leader, 9);
    node.hear(b);
    node.run(interval);
    node.hear(b);
    EXPECT_EQ(node.state(), State::follower);
}

TEST_F(None, N3_then_the_preference) {
    lead();
    b.claim(Claim::leader, term.value);
    node.run_with(200ms, {&b});
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(NoneLast, N3_then_the_preference_of_the_other) {
    lead();
    b.claim(Claim::leader, term.value);
    node.hear(b);
    node.run(interval);
    node.hear(b);
    EXPECT_EQ(node.state(), State::follower);
}

// Simulator seeds 52860 and 82087: each of two that were heard in turn made the other forgotten.
TEST_F(NoneLast, N3_of_three_that_lead_two_settle_as_soon) {
    lead();
    b.claim(Claim::leader, term.value);
    c.claim(Claim::leader, term.value);
    node.hear(b);
    node.hear(c);
    const Frame late_b = node.frame(b);
    node.run(interval);
    c.deaf = true;
    node.hear(c);
    node.hear(late_b);
    node.hear(b);
    EXPECT_EQ(node.state(), State::follower);
}

TEST_F(None, N4_who_is_not_heard_by_the_other_yields_whatever_its_rank) {
    lead();
    b.demotion = 100;
    b.deaf = true;
    b.claim(Claim::leader, 1);
    node.hear(b);
    node.run_with(lease, {&b});
    EXPECT_EQ(node.state(), State::follower);
}

TEST_F(None, N5_the_loser_shuts_its_gate_then_tells) {
    lead();
    b.claim(Claim::leader, 9);
    node.hear(b);
    node.run(interval);
    node.forget();
    node.hear(b);
    ASSERT_GE(node.actions.size(), 3U);
    const auto* gate = std::get_if<SetGate>(&node.actions.front());
    ASSERT_NE(gate, nullptr);
    EXPECT_LE(gate->until, node.now);
    EXPECT_EQ(node.word().released, term);
}

TEST_F(None, N5_the_winner_announces_again_when_the_loser_has_yielded) {
    lead();
    b.claim(Claim::leader, term.value);
    node.hear(b);
    EXPECT_EQ(announced_again(), 0U);
    b.release(term.value);
    node.hear(b);
    EXPECT_EQ(announced_again(), 1U);
}

TEST_F(None, N5_or_has_fallen_silent) {
    lead();
    b.claim(Claim::leader, term.value);
    node.hear(b);
    node.run(lease);
    EXPECT_EQ(announced_again(), 1U);
    node.run(lease);
    EXPECT_EQ(announced_again(), 1U);
}

TEST_F(NoneLast, N6_who_hears_two_leaders_tells_of_it_once) {
    b.claim(Claim::leader, 4);
    c.claim(Claim::leader, 4);
    node.run_with(1s, {&b, &c});
    EXPECT_LE(node.all<Transition>().size(), 1U);
    EXPECT_EQ(node.state(), State::follower);
    c.release(4);
    node.run_with(100ms, {&b, &c});
    EXPECT_EQ(node.status().leader, b.id);
}

// Simulator seed 15335: one of two leaders that had just met made a third.
TEST_F(None, N7_two_that_met_settle_before_either_hands_over) {
    lead();
    node.hear(c);
    b.deaf = true;
    b.claim(Claim::leader, 9);
    node.hear(b);
    ASSERT_EQ(node.state(), State::leader);
    node.failover(c.id);
    EXPECT_EQ(node.state(), State::leader);
    ASSERT_EQ(node.all<FailoverDone>().size(), 1U);
    EXPECT_EQ(node.last<FailoverDone>().result, AskResult::not_leader);
}

// Simulator seed 35603: the successor had not taken the offer up when a third led, then did.
TEST_F(None, N7_an_offer_is_withdrawn_when_somebody_leads) {
    lead();
    node.hear(b);
    node.hear(c);
    node.failover(c.id);
    ASSERT_EQ(node.word().successor, c.id);
    b.claim(Claim::leader, term.value);
    node.hear(b);
    node.run(interval * 5 / 4);
    EXPECT_EQ(node.word().successor, no_node);
}

TEST_F(None, the_last_term_of_a_broken_peer_makes_nobody_fall_over) {
    lead();
    b.claim(Claim::leader, last_term.value);
    node.hear(b);
    node.run(interval);
    node.hear(b);
    EXPECT_EQ(node.state(), State::follower);
    node.run(1s);
    EXPECT_EQ(node.state(), State::follower) << "no newer term is left";
}

TEST_F(None, frames_of_another_mode_are_no_votes_but_their_leader_is_heard) {
    b.mode = Mode::majority;
    b.claim(Claim::leader, 1);
    node.run_with(1s, {&b});
    EXPECT_EQ(node.state(), State::follower);
}

}  // namespace

}  // namespace hamr::election::testing
