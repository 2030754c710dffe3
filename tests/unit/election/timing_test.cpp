// SPDX-License-Identifier: GPL-2.0-or-later
// When frames go out, and requests: docs/protocol.md, rules T2 to T7, A4, H11 and H12.

#include "election/wire.hpp"
#include "tests/unit/election/node.hpp"

namespace hamr::election::testing {

namespace {

class Timed : public ::testing::Test {
  protected:
    explicit Timed(Plan plan = {}) : node(std::move(plan)) {}
    void SetUp() override {
        node.welcome({&b, &c});
        node.forget();
    }
    void lead() {
        node.make_leader(b);
        b.promise(a, node.word().term);
        c.promise(a, node.word().term);
        node.hear(b);
        node.hear(c);
        node.announced(node.word().term);
        node.run(interval);
        node.forget();
    }
    /// How many frames to all, and to one peer, since forget().
    [[nodiscard]] std::pair<int, int> frames() const {
        std::pair<int, int> count;
        for (const Send& send : node.all<Send>())
            ++(send.to == no_node ? count.first : count.second);
        return count;
    }

    Node node;
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    const NodeId a = Node::id("a");
};

struct TimedLast : Timed {
    TimedLast() : Timed(Plan{.prefer = {"b", "c", "a"}}) {}
};

TEST_F(Timed, T2_a_leader_sends_to_all_every_interval_and_wants_answers) {
    lead();
    for (int i = 0; i < 20; ++i) {
        node.run(interval);
        node.hear(b);
    }
    EXPECT_EQ(frames(), std::pair(20, 0));
    EXPECT_TRUE(node.newest().wants_answer);
}

TEST_F(Timed, T2_a_late_alarm_does_not_push_later_frames_further_out) {
    lead();
    node.now = node.next_wakeup() + 3ms;
    node.tick();
    node.hear(b);
    EXPECT_EQ(node.next_wakeup(), node.now - 3ms + interval);
}

TEST_F(TimedLast, T3_a_frame_that_wants_an_answer_is_answered_at_once_and_without_wanting_one) {
    b.wants_answer = true;
    node.hear(b);
    node.forget();
    node.hear(b);
    ASSERT_EQ(frames(), std::pair(0, 1));
    EXPECT_EQ(node.sent.back().to, b.id);
    EXPECT_FALSE(node.newest().wants_answer);
    b.wants_answer = false;
    node.forget();
    node.hear(b);
    EXPECT_EQ(frames(), std::pair(0, 0));
}

TEST_F(TimedLast, T4_beside_a_leader_its_answers_are_its_frames) {
    b.claim(Claim::leader, 1);
    b.wants_answer = true;
    node.run_with(100ms, {&b});
    node.forget();
    node.run_with(100ms, {&b});
    EXPECT_EQ(frames(), std::pair(10, 0));
}

TEST_F(TimedLast, T4_alone_it_sends_every_five_quarters_of_an_interval) {
    b.claim(Claim::leader, 1);  // so that it does not ask
    node.run_with(interval, {&b});
    node.forget();
    node.run_with(125ms, {&b});
    EXPECT_EQ(frames(), std::pair(10, 0));
}

TEST_F(TimedLast, T5_what_others_should_know_at_once_is_sent_at_once) {
    node.health(3);
    EXPECT_EQ(frames().first, 1);
    node.drain(true);
    EXPECT_EQ(frames().first, 2);
    node.drain(true);
    EXPECT_EQ(frames().first, 2) << "nothing new";
}

TEST_F(Timed, T6_a_peer_is_alive_while_it_has_been_heard_within_D) {
    EXPECT_EQ(node.status().leader, no_node);
    c.claim(Claim::leader, 1);
    node.hear(c);
    node.run(lease - 1ns);
    EXPECT_EQ(node.status().leader, c.id);
    node.run(1ns);
    EXPECT_EQ(node.status().leader, no_node);
}

TEST_F(Timed, T1_each_path_is_watched_by_what_comes_over_it_be_it_a_copy) {
    const auto heard_on = [&](std::size_t path) { return node.status_of(1).heard_on.at(path); };
    const Frame first = node.frame(b);
    node.hear(first, 0);
    EXPECT_EQ(heard_on(0), node.now);
    EXPECT_EQ(heard_on(6), long_ago);
    node.run(1ms);
    EXPECT_EQ(node.hear(first, 6).verdict, Verdict::duplicate);
    EXPECT_EQ(heard_on(6), node.now);
    const BootTime then = node.now;
    node.run(1ms);
    EXPECT_EQ(node.hear(first, 6).verdict, Verdict::dropped);
    EXPECT_EQ(heard_on(6), then) << "a replayed frame says nothing of a path";
}

TEST_F(Timed, T1_paths_are_watched_anew_with_each_boot_of_the_peer) {
    node.hear(b, 0);
    node.run(1ms);
    b.boot = BootId{0xb002};
    b.sequence = 0;
    node.hear(b, 6);
    EXPECT_EQ(node.status_of(1).heard_on[0], long_ago);
    EXPECT_EQ(node.status_of(1).heard_on[6], node.now);
    EXPECT_EQ(node.status_of(1).paths_since, node.now);
}

TEST_F(Timed, A4_another_cluster_and_strangers_are_dropped_by_name) {
    Frame frame = node.frame(b);
    frame.cluster = cluster_id("another");
    EXPECT_EQ(node.hear(frame).reason, DropReason::wrong_cluster);
    frame = node.frame(b);
    frame.sender = NodeId{777};
    EXPECT_EQ(node.hear(frame).reason, DropReason::unknown_node);
    frame = node.frame(b);
    frame.sender = a;
    EXPECT_EQ(node.hear(frame).reason, DropReason::unknown_node) << "a frame of its own, sent back";
}

TEST(Greeting, A9_recordings_of_many_boots_are_not_answered_without_end) {
    Node node;
    Puppet b = Node::puppet("b");
    b.echo = Echo{};
    node.forget();
    for (std::uint64_t boot = 1; boot <= 1000; ++boot) {
        b.boot = BootId{boot};
        EXPECT_EQ(node.hear(b).verdict, Verdict::greeted);
    }
    EXPECT_LE(node.all<Send>().size(), 9U);
}

TEST(Largest, frames_of_sixteen_nodes_and_all_groups_are_valid) {
    Plan plan;
    plan.nodes.clear();
    for (int i = 0; i < 16; ++i) plan.nodes.push_back(std::string(1, static_cast<char>('a' + i)));
    plan.prefer = plan.nodes;
    plan.groups = 256;
    plan.timing = {2ms, 2};
    Node node(plan);
    for (int i = 1; i < 16; ++i) {  // a confirmed boot and two pending ones of each
        Puppet peer = Node::puppet(plan.nodes[static_cast<std::size_t>(i)].c_str());
        node.hear(peer);
        for (std::uint64_t boot = 1; boot <= 3; ++boot) {
            peer.boot = BootId{boot};
            peer.echo = Echo{};
            node.hear(peer);
        }
    }
    node.run(10ms);
    EXPECT_EQ(node.newest().echoes.size(), 45U);
    for (const Send& send : node.sent) ASSERT_TRUE(valid(send.frame));
}

// Requests ----------------------------------------------------------------------------------------

class Asking : public Timed {
  protected:
    void SetUp() override {
        Timed::SetUp();
        c.claim(Claim::leader, 3);
        c.word.announced = true;
        node.hear(c);
        node.forget();
    }
    [[nodiscard]] std::vector<FailoverDone> done() const { return node.all<FailoverDone>(); }
    void answer(std::uint32_t id, AskResult result, NodeId target) {
        c.answer = Answer{a, id, result, target};
        node.hear(c);
    }
};

TEST_F(Asking, H11_an_ask_travels_in_every_frame_until_it_is_answered) {
    const auto id = node.failover(b.id);
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(node.newest().ask);
        EXPECT_EQ(node.newest().ask->id, id);
        EXPECT_EQ(node.newest().ask->leader, c.id);
        EXPECT_EQ(node.newest().ask->target, b.id);
        node.run_with(interval * 2, {&c});
    }
    answer(id, AskResult::target_worse, b.id);
    ASSERT_EQ(done().size(), 1U);
    EXPECT_EQ(done()[0].result, AskResult::target_worse);
    node.run_with(interval * 2, {&c});
    EXPECT_FALSE(node.newest().ask);
}

TEST_F(Asking, H12_success_is_told_when_the_successor_has_announced_in_a_newer_term) {
    const auto id = node.failover(b.id);
    answer(id, AskResult::accepted, b.id);
    EXPECT_TRUE(done().empty());
    c.release(3, b.id);
    node.hear(c);
    b.claim(Claim::leader, 4);
    node.hear(b);
    EXPECT_TRUE(done().empty()) << "not announced yet";
    b.word.announced = true;
    node.hear(b);
    ASSERT_EQ(done().size(), 1U);
    EXPECT_EQ(done()[0].result, AskResult::accepted);
    EXPECT_EQ(done()[0].target, b.id);
}

TEST_F(Asking, H12_else_a_time_out_after_3_s) {
    node.failover(b.id);
    node.run_with(3s - 1ms, {&c});
    EXPECT_TRUE(done().empty());
    node.run(1ms);
    ASSERT_EQ(done().size(), 1U);
    EXPECT_EQ(done()[0].result, AskResult::timed_out);
}

TEST_F(Asking, H11_an_answer_to_an_earlier_life_is_none_to_this_one) {
    const auto id = node.failover(b.id);
    EXPECT_EQ(id, static_cast<std::uint32_t>(own_boot.value) + 1) << "drawn with the boot";
    answer(1, AskResult::target_worse, b.id);
    EXPECT_TRUE(done().empty());
}

TEST_F(Asking, an_answer_to_somebody_else_is_none) {
    const auto id = node.failover(b.id);
    c.answer = Answer{b.id, id, AskResult::target_worse, b.id};
    node.hear(c);
    EXPECT_TRUE(done().empty());
}

TEST_F(Timed, H11_a_leader_obeys_each_ask_once_and_repeats_its_answer) {
    lead();
    b.demotion = 1;
    b.ask = Ask{77, group_id(group_name), a, b.id, false};
    node.hear(b);
    ASSERT_TRUE(node.newest().answer);
    EXPECT_EQ(*node.newest().answer, (Answer{b.id, 77, AskResult::target_worse, b.id}));
    b.demotion = 0;  // it would be obeyed now
    node.hear(b);
    EXPECT_EQ(node.newest().answer->result, AskResult::target_worse);
    EXPECT_EQ(node.state(), State::leader);
    b.ask->id = 78;
    node.hear(b);
    EXPECT_EQ(node.newest().answer->result, AskResult::accepted);
    EXPECT_EQ(node.word().successor, b.id);
    node.hear(b);
    EXPECT_EQ(node.all<StepDown>().size(), 1U);
}

TEST_F(Timed, H11_an_ask_for_another_leader_is_not_obeyed) {
    lead();
    b.ask = Ask{77, group_id(group_name), c.id, b.id, true};
    node.hear(b);
    EXPECT_EQ(node.state(), State::leader);
    EXPECT_FALSE(node.newest().answer);
}

TEST_F(Timed, nonsense_in_an_ask_is_refused) {
    lead();
    b.ask = Ask{0, GroupId{99}, a, NodeId{99}, true};
    node.hear(b);
    EXPECT_EQ(node.newest().answer->result, AskResult::not_leader);
    b.ask = Ask{UINT32_MAX, group_id(group_name), a, NodeId{99}, true};
    node.hear(b);
    EXPECT_EQ(node.newest().answer->result, AskResult::unknown_target);
    EXPECT_EQ(node.state(), State::leader);
}

TEST_F(Timed, no_more_than_sixteen_requests_wait) {
    c.claim(Claim::leader, 3);
    node.hear(c);
    for (int i = 0; i < 20; ++i) node.failover(b.id);
    EXPECT_EQ(node.all<FailoverDone>().size(), 4U);
}

}  // namespace

}  // namespace hamr::election::testing
