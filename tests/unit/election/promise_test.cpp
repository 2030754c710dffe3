// SPDX-License-Identifier: GPL-2.0-or-later
// What a voter owes: docs/protocol.md, rules M1 to M7, M10, M12 and M13.

#include "tests/unit/election/node.hpp"

namespace hamr::election::testing {

namespace {

/// Node a of three, a voter that ranks last, so that it never asks before a test is over.
class Voter : public ::testing::Test {
  protected:
    void SetUp() override {
        b.wants_answer = c.wants_answer = true;
        node.welcome({&b, &c});
        ASSERT_EQ(node.state(), State::follower);
    }
    /// b stands in that term, and is heard.
    void stands(Puppet& who, std::uint64_t term) {
        who.claim(Claim::candidate, term);
        node.hear(who);
    }
    [[nodiscard]] std::pair<NodeId, Term> promised() const {
        return {node.word().promised_to, node.word().promised_term};
    }
    static std::pair<NodeId, Term> promise(const Puppet& to, std::uint64_t term) {
        return {to.id, Term{term}};
    }
    const std::pair<NodeId, Term> nobody{no_node, Term{}};

    Node node{Plan{.prefer = {"b", "c", "a"}}};
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
};

TEST_F(Voter, M1_grants_a_term_newer_than_any_seen) {
    stands(b, 1);
    EXPECT_EQ(promised(), promise(b, 1));
    EXPECT_EQ(node.word().seen, Term{1});
}

TEST_F(Voter, M1_grants_nobody_else_while_a_promise_runs) {
    stands(b, 1);
    stands(c, 9);
    EXPECT_EQ(promised(), promise(b, 1));
    EXPECT_EQ(node.word().seen, Term{1}) << "what is refused is not seen";
}

TEST_F(Voter, M1_grants_another_when_the_promise_has_ended) {
    stands(b, 1);
    node.now += lease;
    stands(c, 2);
    EXPECT_EQ(promised(), promise(c, 2));
}

TEST_F(Voter, M1_not_a_moment_before) {
    stands(b, 1);
    node.now += lease - 1ns;
    stands(c, 2);
    EXPECT_EQ(promised(), promise(b, 1));
}

TEST_F(Voter, M1_an_old_term_is_not_granted) {
    stands(b, 5);
    node.now += lease;
    stands(c, 5);
    EXPECT_EQ(promised(), nobody);
    stands(c, 4);
    EXPECT_EQ(promised(), nobody);
}

TEST_F(Voter, M2_later_frames_of_that_term_renew_the_promise) {
    stands(b, 1);
    node.now += lease - 1ms;
    b.claim(Claim::leader, 1);
    node.hear(b);
    node.now += lease - 1ms;
    stands(c, 2);
    EXPECT_EQ(promised(), promise(b, 1));
}

TEST_F(Voter, M2_the_promise_lasts_as_long_as_its_frame_asks) {
    b.claim(Claim::candidate, 1);
    Frame frame = node.frame(b);
    frame.timing = {20ms, 10};
    node.hear(frame);
    node.now += 199ms;
    stands(c, 2);
    EXPECT_EQ(promised(), promise(b, 1));
    node.now += 1ms;
    stands(c, 2);
    EXPECT_EQ(promised(), promise(c, 2));
}

TEST_F(Voter, M2_a_shorter_lease_does_not_shorten_what_was_promised) {
    stands(b, 1);
    Frame frame = node.frame(b);
    frame.timing = {2ms, 2};
    node.hear(frame);
    node.now += lease - 1ns;
    stands(c, 2);
    EXPECT_EQ(promised(), promise(b, 1));
}

TEST_F(Voter, M3_the_holder_may_be_granted_a_newer_term) {
    stands(b, 1);
    stands(b, 4);
    EXPECT_EQ(promised(), promise(b, 4));
}

TEST_F(Voter, M5_a_frame_that_does_not_renew_is_acknowledged_to_nobody) {
    stands(b, 4);
    b.claim(Claim::candidate, 3);  // of an earlier life, say
    node.hear(b);
    EXPECT_EQ(promised(), nobody);
    stands(c, 9);
    EXPECT_EQ(promised(), nobody) << "but the promise is kept";
}

TEST_F(Voter, M7_other_modes_and_memberships_get_no_promise) {
    b.mode = Mode::none;
    stands(b, 1);
    EXPECT_EQ(promised(), nobody);
    b.mode.reset();
    b.voters = std::vector<NodeId>{NodeId{1}, NodeId{2}, NodeId{3}};
    stands(b, 2);
    EXPECT_EQ(promised(), nobody);
}

TEST_F(Voter, M7_one_step_apart_is_compatible) {
    std::vector<NodeId> four{Node::id("a"), Node::id("b"), Node::id("c"), Node::id("d")};
    std::sort(four.begin(), four.end());
    b.voters = four;
    stands(b, 1);
    EXPECT_EQ(promised(), promise(b, 1));
}

TEST_F(Voter, M10_a_release_ends_the_promise_of_its_holder) {
    stands(b, 1);
    b.release(1);
    node.hear(b);
    EXPECT_EQ(promised(), nobody);
    stands(c, 2);
    EXPECT_EQ(promised(), promise(c, 2));
}

TEST_F(Voter, M10_nobody_else_can_release_it) {
    stands(b, 1);
    c.release(5);
    node.hear(c);
    stands(c, 6);
    EXPECT_EQ(promised(), promise(b, 1));
}

TEST_F(Voter, M10_the_release_of_an_earlier_term_ends_nothing) {
    stands(b, 4);
    b.word.released = Term{3};
    node.hear(b);
    stands(c, 9);
    EXPECT_EQ(promised(), promise(b, 4));
}

TEST_F(Voter, M12_an_asker_is_supported_and_promised_nothing) {
    c.claim(Claim::asking, 7);
    node.hear(c);
    EXPECT_EQ(node.word().supports, c.id);
    EXPECT_EQ(promised(), nobody);
    EXPECT_EQ(node.word().seen, Term{}) << "its term is a wish";
}

TEST_F(Voter, M12_of_two_askers_the_better_ranked_is_supported) {
    c.claim(Claim::asking, 1);
    node.hear(c);
    b.claim(Claim::asking, 1);
    node.hear(b);
    EXPECT_EQ(node.word().supports, b.id);
    node.hear(c);
    EXPECT_EQ(node.word().supports, b.id);
    b.demotion = 10;
    node.hear(b);
    node.hear(c);
    EXPECT_EQ(node.word().supports, c.id);
}

TEST_F(Voter, M12_a_deaf_asker_is_not_supported) {
    b.deaf = true;  // what it echoes gets old
    b.claim(Claim::asking, 1);
    for (int i = 0; i < 7; ++i) {
        node.now += interval;
        node.hear(b);
    }
    c.claim(Claim::asking, 1);
    node.hear(c);
    EXPECT_EQ(node.word().supports, c.id);
}

TEST_F(Voter, M13_an_asker_is_answered_when_the_promise_ends) {
    stands(b, 1);
    node.run(lease - 1ms);
    c.claim(Claim::asking, 2);
    node.hear(c);
    EXPECT_EQ(node.word().supports, no_node);
    const std::size_t before = node.sent.size();
    node.run(1ms);
    ASSERT_GT(node.sent.size(), before);
    EXPECT_EQ(node.word().supports, c.id);
}

TEST_F(Voter, M13_a_candidate_too_but_not_for_long) {
    stands(b, 1);
    node.run(lease - 1ms);
    stands(c, 2);
    EXPECT_EQ(promised(), promise(b, 1));
    node.run(1ms);
    EXPECT_EQ(promised(), promise(c, 2));

    stands(b, 3);  // c's promise runs
    node.run(interval * 2);
    c.release(2);
    node.hear(c);
    EXPECT_EQ(promised(), nobody) << "b may have given up: kept in mind for 3/2·I";
}

// The quarantine of a voter that has just started.
class Restarted : public ::testing::Test {
  protected:
    void SetUp() override { b.wants_answer = c.wants_answer = true; }
    Node node{Plan{.prefer = {"b", "c", "a"}}};
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
};

TEST_F(Restarted, M6_grants_and_supports_nobody) {
    EXPECT_EQ(node.state(), State::starting);
    EXPECT_TRUE(node.newest().starting);
    b.claim(Claim::candidate, 1);
    node.hear(b);
    c.claim(Claim::asking, 1);
    node.hear(c);
    EXPECT_EQ(node.word().promised_to, no_node);
    EXPECT_EQ(node.word().supports, no_node);
}

TEST_F(Restarted, M6_for_3_s) {
    node.run(3s - 1ms);
    EXPECT_EQ(node.state(), State::starting);
    node.run(1ms);
    EXPECT_NE(node.state(), State::starting);
}

TEST_F(Restarted, M6_until_every_member_has_told) {
    node.hear(b);
    EXPECT_EQ(node.state(), State::starting);
    node.hear(b);
    EXPECT_EQ(node.state(), State::starting) << "twice the same is one";
    node.hear(c);
    EXPECT_EQ(node.state(), State::follower);
}

TEST_F(Restarted, M6_who_leads_or_stands_has_not_told) {
    node.hear(b);
    c.claim(Claim::leader, 3);
    node.hear(c);
    EXPECT_EQ(node.state(), State::starting);
    c.claim(Claim::candidate, 3);
    node.hear(c);
    EXPECT_EQ(node.state(), State::starting);
    c.claim(Claim::asking, 3);
    node.hear(c);
    EXPECT_EQ(node.state(), State::follower) << "who only asks holds nothing";
}

TEST_F(Restarted, M6_a_frame_that_is_not_confirmed_does_not_tell) {
    node.hear(b);
    c.echo = Echo{Node::id("a"), BootId{0xdead}, Sequence{9}, {}};  // an earlier life of this node
    EXPECT_EQ(node.hear(c).verdict, Verdict::greeted);
    EXPECT_EQ(node.state(), State::starting);
}

TEST_F(Restarted, M6_members_of_another_configuration_do_not_tell) {
    node.hear(b);
    std::vector<NodeId> two{Node::id("a"), Node::id("c")};
    std::sort(two.begin(), two.end());
    c.voters = two;
    node.hear(c);
    EXPECT_EQ(node.state(), State::starting);
}

TEST(RestartedWithOthers, M6_for_3_s_whatever_the_members_tell) {
    Node node{Plan{.same_voters = false}};
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    node.hear(b);
    node.hear(c);
    EXPECT_EQ(node.state(), State::starting) << "one that is no member any more may lead";
    node.run(3s);
    EXPECT_NE(node.state(), State::starting);
}

TEST_F(Restarted, M6_the_first_thing_it_does_is_to_shut_its_gate) {
    ASSERT_FALSE(node.actions.empty());
    const auto* gate = std::get_if<SetGate>(&node.actions.front());
    ASSERT_NE(gate, nullptr);
    EXPECT_LE(gate->until, node.now);
}

}  // namespace

}  // namespace hamr::election::testing
