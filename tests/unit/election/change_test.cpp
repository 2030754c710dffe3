// SPDX-License-Identifier: GPL-2.0-or-later
// The same life under another list of voters, other timers, groups or another mode:
// docs/protocol.md, rules M18 to M22.

#include "tests/unit/election/node.hpp"

namespace hamr::election::testing {

namespace {

const std::vector<std::string> four = {"a", "b", "c", "d"};

class Change : public ::testing::Test {
  protected:
    Change() { b.wants_answer = c.wants_answer = true; }
    void follow() { node.welcome({&b, &c}); }
    void lead() {
        follow();
        node.run(lease);
        node.make_leader(b);
        term = node.word().term;
        c.promise(Node::id("a"), term);
        node.hear(c);
        node.forget();
    }
    /// Of a node in mode none.
    void lead_alone() {
        none.run_with(200ms, {&b});
        ASSERT_EQ(none.state(), State::leader);
        none.forget();
    }
    [[nodiscard]] std::vector<NodeId> ids(const std::vector<std::string>& names) const {
        std::vector<NodeId> list;
        for (const std::string& name : names) list.push_back(node_id(name));
        std::sort(list.begin(), list.end());
        return list;
    }

    Node node;
    Node none{Plan{.mode = Mode::none, .nodes = {"a", "b"}, .prefer = {"a", "b"}}};
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    Puppet d = Node::puppet("d");
    Term term;
};

TEST_F(Change, M20_a_leader_goes_on_in_its_term_when_a_voter_is_added) {
    lead();
    node.change(Plan{.nodes = four});
    EXPECT_EQ(node.state(), State::leader);
    EXPECT_EQ(node.word().term, term);
    EXPECT_TRUE(node.all<StepDown>().empty());
    EXPECT_EQ(node.newest().voters, ids(four));
    EXPECT_EQ(node.newest().boot, own_boot);
}

TEST_F(Change, M20_with_fewer_than_a_majority_of_the_new_list_the_gate_is_shut_before_it_tells) {
    follow();
    node.run(lease);
    node.make_leader(b);  // two of three, but not three of four
    term = node.word().term;
    node.forget();
    node.change(Plan{.nodes = four});
    EXPECT_NE(node.state(), State::leader);
    bool shut = false;
    for (const Action& action : node.actions) {
        if (const auto* gate = std::get_if<SetGate>(&action)) shut = gate->until <= node.now;
        if (std::holds_alternative<Send>(action)) {
            EXPECT_TRUE(shut) << "told before the gate was shut";
        }
    }
    EXPECT_TRUE(shut);
    EXPECT_EQ(node.word().released, term);
}

TEST_F(Change, M20_the_lease_counts_those_of_the_new_list_alone) {
    lead();
    node.run(interval);
    node.hear(b);  // its acknowledgement is newer than that of c
    const BootTime newest = node.last<SetGate>().until;
    node.forget();
    // Of a, b and c the second best counted; of a, b, c and d it is the third.
    node.change(Plan{.nodes = four}, 1ms);
    ASSERT_EQ(node.state(), State::leader);
    ASSERT_FALSE(node.all<SetGate>().empty());
    EXPECT_LT(node.all<SetGate>().front().until, newest);
    EXPECT_EQ(node.status().needed, 3);
}

TEST_F(Change, M20_what_would_be_left_of_the_lease_is_known_before) {
    lead();
    const Settings three = Node::settings_of(Plan{});
    const Settings more = Node::settings_of(Plan{.nodes = four});
    const Settings less = Node::settings_of(Plan{.nodes = {"a", "b"}, .prefer = {"a", "b"}});
    node.run(interval);
    node.hear(b);
    EXPECT_EQ(node.election().lease_under(three, node.now), *node.status().lease);
    EXPECT_LT(node.election().lease_under(more, node.now), *node.status().lease);
    EXPECT_EQ(node.election().lease_under(less, node.now), *node.status().lease);
    node.failover(b.id);
    EXPECT_EQ(node.election().lease_under(three, node.now), Duration::max());
}

TEST_F(Change, M20_a_promise_to_a_node_that_is_taken_out_is_kept) {
    Node voter(Plan{.prefer = {"b", "c", "a"}});
    voter.welcome({&b, &c});
    c.claim(Claim::candidate, 1);
    voter.hear(c);
    ASSERT_EQ(voter.word().promised_to, c.id);
    voter.change(Plan{.nodes = {"a", "b"}, .prefer = {"b", "a"}});
    b.claim(Claim::candidate, 2);
    voter.hear(b);
    EXPECT_EQ(voter.word().promised_to, c.id);
    EXPECT_EQ(voter.hear(c).reason, DropReason::unknown_node);
    voter.run(lease);
    voter.hear(b);
    EXPECT_EQ(voter.word().promised_to, b.id);
}

TEST_F(Change, M20_who_is_quiet_after_a_start_stays_so_for_all_of_it) {
    node.hear(b);
    node.change(Plan{.nodes = {"a", "b"}, .prefer = {"a", "b"}});
    node.hear(b);  // now all have told, but of which earlier list?
    EXPECT_EQ(node.state(), State::starting);
    node.run(longest_lease);
    EXPECT_NE(node.state(), State::starting);
}

TEST_F(Change, A8_a_node_that_is_added_again_is_believed_when_it_echoes_what_was_sent_since) {
    follow();
    const Frame recorded = [&] {
        node.run(interval);
        node.hear(b);
        Frame frame = node.frame(c);
        frame.sequence.value += 10;
        return frame;
    }();
    node.change(Plan{.nodes = {"a", "b"}, .prefer = {"a", "b"}});
    node.change(Plan{});
    EXPECT_EQ(node.hear(recorded).verdict, Verdict::greeted);
    node.run(interval);
    EXPECT_EQ(node.hear(c).verdict, Verdict::used);
}

TEST_F(Change, M18_what_a_silent_peer_told_last_is_kept) {
    follow();
    node.change(Plan{.nodes = four});
    node.run(lease * 3);
    const Status status = node.election().status(node.now);
    ASSERT_TRUE(status.nodes[1].told);
    EXPECT_EQ(status.nodes[1].told->voters, ids({"a", "b", "c"}));
    EXPECT_TRUE(status.nodes[1].mismatch);
    EXPECT_FALSE(status.nodes[3].told);
}

TEST_F(Change, M2_a_lease_asked_for_with_the_old_timers_lasts_as_long_as_those_said) {
    lead();
    node.run(interval);
    const BootTime sent = node.now;
    b.echo = Echo{Node::id("a"), own_boot, node.newest().sequence, {}};
    node.change(Plan{.timing = {interval * 2, 4}}, 1ms);
    node.hear(b);
    EXPECT_EQ(node.last<SetGate>().until, sent + usable_);
    node.forget();
    b.echo.reset();
    node.run(interval * 2);
    const BootTime later = node.now;
    node.hear(b);
    EXPECT_GT(node.last<SetGate>().until, later + usable_);
}

TEST_F(Change, M22_a_group_that_is_added_keeps_still_and_the_other_goes_on) {
    lead();
    node.change(Plan{.groups = 2});
    const auto states = node.election().status(node.now).groups;
    EXPECT_EQ(states[0].state, State::leader);
    EXPECT_EQ(states[1].state, State::starting);
    node.hear(b);
    node.hear(c);
    EXPECT_EQ(node.election().status(node.now).groups[1].state, State::starting);
}

TEST_F(Change, M21_a_leader_of_mode_none_releases_when_it_goes_over_to_majority) {
    lead_alone();
    none.change(Plan{});
    EXPECT_NE(none.state(), State::leader);
    ASSERT_EQ(none.all<StepDown>().size(), 1U);
    EXPECT_EQ(none.last<StepDown>().successor, b.id);
    EXPECT_LE(none.all<SetGate>().front().until, none.now);
    EXPECT_EQ(none.newest().mode, Mode::majority);
    EXPECT_EQ(none.word().successor, b.id);
}

TEST_F(Change, M21_who_has_been_in_mode_none_for_3_s_owes_nothing_and_votes_at_once) {
    none.run_with(longest_lease, {&b});
    none.change(Plan{});
    EXPECT_NE(none.state(), State::starting);
    b.mode = Mode::majority;
    b.claim(Claim::candidate, 9);
    none.hear(b);
    EXPECT_EQ(none.word().promised_to, b.id);
}

TEST_F(Change, M21_a_younger_life_keeps_still_for_the_rest) {
    none.run_with(200ms, {&b});
    none.change(Plan{});
    EXPECT_EQ(none.state(), State::starting);
}

TEST_F(Change, M21_mode_none_does_not_shorten_what_was_promised_before) {
    Node voter;
    voter.run_with(longest_lease, {&b, &c});
    c.claim(Claim::candidate, 5);
    voter.hear(c);
    ASSERT_EQ(voter.word().promised_to, c.id);
    voter.change(Plan{.mode = Mode::none});
    voter.change(Plan{});
    EXPECT_EQ(voter.state(), State::starting);
}

TEST_F(Change, M21_beside_a_living_leader_of_mode_none_nobody_votes_or_stands) {
    Node voter;
    voter.run_with(longest_lease, {});
    b.mode = Mode::none;
    b.claim(Claim::leader, 3);
    voter.hear(b);
    c.claim(Claim::candidate, 4);
    voter.hear(c);
    EXPECT_EQ(voter.word().promised_to, no_node);
    c.follow();
    voter.run_with(lease * 4, {&b, &c});
    EXPECT_EQ(voter.state(), State::follower);
    b.release(3, Node::id("a"));
    voter.hear(b);
    EXPECT_EQ(voter.state(), State::candidate);
}

TEST_F(Change, M21_who_leads_without_majority_gives_way_to_who_has_one) {
    lead_alone();
    b.mode = Mode::majority;
    b.demotion = 100;  // nor does it matter who ranks first
    b.claim(Claim::leader, 1);
    none.hear(b);
    none.run(interval);
    none.hear(b);
    EXPECT_NE(none.state(), State::leader);
}

TEST_F(Change, M21_let_go_names_a_peer_that_has_the_other_mode_already) {
    lead_alone();
    b.mode = Mode::majority;
    none.hear(b);
    none.run(interval);
    none.hear(b);
    none.let_go();
    EXPECT_EQ(none.word().successor, b.id);
    EXPECT_NE(none.state(), State::leader);
}

}  // namespace

}  // namespace hamr::election::testing
