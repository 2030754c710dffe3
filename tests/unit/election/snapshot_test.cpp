// SPDX-License-Identifier: GPL-2.0-or-later
// One life of the agent in several programs: docs/protocol.md, rules U1 to U4.

#include "election/snapshot.hpp"

#include "tests/unit/election/node.hpp"

#include <array>

namespace hamr::election::testing {

namespace {

class Upgrade : public ::testing::Test {
  protected:
    void follow() { node.welcome({&b, &c}); }
    void lead() {
        follow();
        node.run(lease);
        node.make_leader(b);
        term = node.word().term;
        node.forget();
    }

    Node node;
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    Term term;
};

TEST_F(Upgrade, U1_a_leader_goes_on_in_its_term_and_its_boot_with_the_next_sequence) {
    lead();
    const Frame before = node.newest();
    node.upgrade(5ms);
    EXPECT_EQ(node.state(), State::leader);
    EXPECT_TRUE(node.all<StepDown>().empty());
    EXPECT_TRUE(node.all<Transition>().empty());
    EXPECT_EQ(node.newest().boot, before.boot);
    EXPECT_EQ(node.newest().sequence, Sequence{before.sequence.value + 1});
    EXPECT_EQ(node.word().claim, Claim::leader);
    EXPECT_EQ(node.word().term, term);
}

TEST_F(Upgrade, U1_what_the_old_program_has_sent_counts_for_the_lease_of_the_new_one) {
    lead();
    node.run(interval);
    const BootTime sent = node.now;
    b.echo = Echo{Node::id("a"), own_boot, node.newest().sequence, {}};
    node.upgrade(4ms);
    node.hear(b);
    EXPECT_EQ(node.last<SetGate>().until, sent + usable_);
}

TEST_F(Upgrade, U1_a_lease_that_has_ended_meanwhile_is_given_up_with_the_gate_shut_first) {
    lead();
    node.upgrade(lease);
    EXPECT_NE(node.state(), State::leader);
    ASSERT_EQ(node.all<StepDown>().size(), 1U);
    EXPECT_LE(node.last<SetGate>().until, node.now);
    EXPECT_EQ(node.word().released, term);
}

TEST_F(Upgrade, U1_a_promise_is_kept) {
    Node voter(Plan{.prefer = {"b", "c", "a"}});
    b.wants_answer = c.wants_answer = true;
    voter.welcome({&b, &c});
    b.claim(Claim::candidate, 1);
    voter.hear(b);
    ASSERT_EQ(voter.word().promised_to, b.id);
    voter.upgrade(5ms);
    c.claim(Claim::candidate, 2);
    voter.hear(c);
    EXPECT_EQ(voter.word().promised_to, b.id);
    voter.run(lease);
    voter.hear(c);
    EXPECT_EQ(voter.word().promised_to, c.id);
}

TEST_F(Upgrade, U1_who_is_still_quiet_after_a_start_stays_so) {
    node.run(1s);
    node.upgrade(5ms);
    EXPECT_EQ(node.state(), State::starting);
    node.run(longest_lease - 1s - 6ms);
    EXPECT_EQ(node.state(), State::starting);
    node.run(1ms);
    EXPECT_NE(node.state(), State::starting);
}

TEST_F(Upgrade, U1_a_frame_heard_before_is_a_replay_after) {
    follow();
    const Frame recorded = node.frame(b);
    EXPECT_EQ(node.hear(recorded).verdict, Verdict::used);
    node.upgrade(5ms);
    const Received again = node.hear(recorded);
    EXPECT_EQ(again.verdict, Verdict::dropped);
    EXPECT_EQ(again.reason, DropReason::replayed);
}

TEST_F(Upgrade, U1_a_release_goes_on_being_told) {
    lead();
    node.failover(b.id);
    ASSERT_EQ(node.word().released, term);
    node.upgrade(5ms);
    node.run(interval);
    EXPECT_EQ(node.word().released, term);
    EXPECT_EQ(node.word().successor, b.id);
}

TEST_F(Upgrade, U1_an_order_of_a_peer_is_not_obeyed_twice) {
    lead();
    node.hear(c);
    b.ask = Ask{5, group_id(group_name), Node::id("a"), Node::id("nobody"), false};
    node.hear(b);
    ASSERT_TRUE(node.newest().answer);
    const Answer answered = *node.newest().answer;
    node.upgrade(5ms);
    b.ask->target = c.id;  // the same order, were it taken for a new one, would succeed
    node.hear(b);
    EXPECT_EQ(node.state(), State::leader);
    EXPECT_EQ(node.newest().answer, answered);
}

TEST_F(Upgrade, U3_in_mode_none_who_did_not_run_listens_for_D_before_it_takes_silence_for_death) {
    Node none(Plan{.mode = Mode::none, .prefer = {"b", "a", "c"}});
    b.mode = Mode::none;
    b.claim(Claim::leader, 1);
    none.run_with(200ms, {&b});
    ASSERT_EQ(none.status().leader, b.id);
    none.upgrade(lease - 1ms);
    none.run(lease - 1ms);
    EXPECT_EQ(none.state(), State::follower);
    none.run(lease);
    EXPECT_EQ(none.state(), State::leader);
}

TEST_F(Upgrade, U2_every_damage_is_noticed) {
    follow();
    const std::vector<std::byte> saved = node.save();
    ASSERT_TRUE(node.restored(saved, Plan{}));
    for (std::size_t at = 0; at < saved.size(); at += 1 + saved.size() / 400) {
        std::vector<std::byte> damaged = saved;
        damaged[at] ^= std::byte{0x10};
        EXPECT_FALSE(node.restored(damaged, Plan{})) << at;
    }
    for (const std::size_t length : {std::size_t{0}, std::size_t{35}, saved.size() - 1}) {
        EXPECT_FALSE(node.restored(Bytes(saved).first(length), Plan{})) << length;
    }
}

TEST_F(Upgrade, U2_what_another_version_wrote_is_not_read) {
    const std::array<std::byte, 3> payload{};
    const auto sealed = seal_snapshot(snapshot_version + 1, payload);
    EXPECT_TRUE(open_snapshot(snapshot_version + 1, sealed));
    const auto opened = open_snapshot(snapshot_version, sealed);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message().find("version"), std::string::npos);
}

TEST_F(Upgrade, U2_a_life_does_not_go_on_under_other_settings) {
    struct Row {
        const char* name;
        Plan plan;
        const char* words;
    };
    const Row rows[] = {
        {"cluster", {.cluster = "other"}, "cluster"},
        {"node", {.self = "b"}, "this node"},
        {"two nodes more", {.nodes = {"a", "b", "c", "d", "e"}}, "more than one node"},
        {"two nodes less", {.nodes = {"a"}, .prefer = {"a"}}, "more than one node"},
        {"one node for another", {.nodes = {"a", "b", "d"}}, "more than one node"},
        {"its own role", {.witnesses = {"a"}, .prefer = {"b", "c"}}, "role"},
    };
    follow();
    const std::vector<std::byte> saved = node.save();
    for (const Row& row : rows) {
        const auto restored = node.restored(saved, row.plan);
        ASSERT_FALSE(restored) << row.name;
        EXPECT_NE(restored.error().message().find(row.words), std::string::npos)
            << row.name << ": " << restored.error().message();
    }
    EXPECT_TRUE(node.restored(saved, Plan{.prefer = {"c", "b", "a"}}));
}

// What a reload changes is told in these words when a restart is asked for.
TEST_F(Upgrade, what_a_restart_does_not_change_is_named) {
    struct Row {
        const char* name;
        Plan plan;
        const char* words;
    };
    const Row rows[] = {
        {"one node more", {.nodes = {"a", "b", "c", "d"}}, "nodes"},
        {"role", {.witnesses = {"c"}, .prefer = {"a", "b"}}, "role"},
        {"group", {.groups = 2}, "groups"},
        {"mode", {.mode = Mode::none}, "quorum"},
        {"interval", {.timing = {interval * 2, 3}}, "interval"},
        {"misses", {.timing = {interval, 4}}, "misses"},
    };
    for (const Row& row : rows) {
        const std::string words =
            difference(Node::settings_of(Plan{}), Node::settings_of(row.plan));
        EXPECT_NE(words.find(row.words), std::string::npos) << row.name << ": " << words;
    }
    EXPECT_EQ(difference(Node::settings_of(Plan{}), Node::settings_of(Plan{})), "");
}

TEST_F(Upgrade, M6_whose_voters_were_others_goes_on_not_knowing_what_its_earlier_life_promised) {
    Node voter(Plan{.same_voters = false});
    voter.upgrade(5ms);  // the agent's note names these voters by now, perhaps
    voter.hear(b);
    voter.hear(c);
    EXPECT_EQ(voter.state(), State::starting);
}

TEST_F(Upgrade, U2_time_does_not_go_back) {
    const std::vector<std::byte> saved = node.save();
    node.now -= 1ms;
    EXPECT_FALSE(node.restored(saved, Plan{}));
}

// Raise snapshot_version whenever this fails: another layout must not be taken for this one.
TEST_F(Upgrade, U2_the_layout_of_this_version) {
    lead();
    EXPECT_EQ(snapshot_version, 6U);
    EXPECT_EQ(node.save().size(), 14'520U);
}

}  // namespace

}  // namespace hamr::election::testing
