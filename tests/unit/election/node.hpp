// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/election.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

// One node under test, fed by hand: its peers are puppets that say whatever a test wants. No
// network, no other core: what a rule asks of one node is tested on that node alone.

namespace hamr::election::testing {

using namespace std::chrono_literals;

inline constexpr Duration interval = 10ms;
inline constexpr Duration lease = 30ms;    // D
inline constexpr Duration usable_ = 24ms;  // D·(1−ρ)
inline constexpr const char* group_name = "vip";

/// A peer: its next frame says what its members say.
struct Puppet {
    NodeId id;
    BootId boot{0xb001};
    std::uint64_t sequence = 0;
    GroupEntry word;
    std::uint32_t demotion = 0;
    HealthEpoch epoch{1};
    HealthEpoch checked;
    bool starting = false;
    bool drained = false;
    bool wants_answer = false;
    std::optional<Ask> ask;
    std::optional<Answer> answer;
    /// Configuration that differs from the node's own.
    std::optional<std::vector<NodeId>> voters;
    std::optional<Mode> mode;
    std::optional<Timing> timing;
    /// What it has heard of the node: its newest frame unless set; {boot 0} echoes nothing.
    std::optional<Echo> echo;
    bool deaf = false;  ///< hears nothing more
    Sequence heard;

    void follow() { claim(Claim::none, 0); }
    void claim(Claim claim, std::uint64_t term) {
        word.claim = claim;
        word.term = Term{term};
        if (claim != Claim::asking) word.seen = std::max(word.seen, word.term);
    }
    void promise(NodeId to, Term term) {
        word.promised_to = to;
        word.promised_term = term;
        word.seen = std::max(word.seen, term);
    }
    /// Releases its term, and names who is to follow.
    void release(std::uint64_t term, NodeId successor = no_node) {
        follow();
        word.released = Term{term};
        word.seen = std::max(word.seen, word.released);
        word.successor = successor;
    }
};

struct Plan {
    Mode mode = Mode::majority;
    std::vector<std::string> nodes = {"a", "b", "c"};
    std::vector<std::string> witnesses{};
    std::vector<std::string> prefer = {"a", "b", "c"};
    std::optional<Duration> failback{};
    Timing timing{interval, 3};
    std::string self = "a";
    std::string cluster = "test";
    int groups = 1;
    bool same_voters = true;
};

inline constexpr BootId own_boot{0xa001};

class Node {
  public:
    explicit Node(Plan plan = {})
        : plan_(std::move(plan)),
          election_(std::make_unique<Election>(settings(plan_), own_boot, now)) {
        collect();
        tick();
    }

    [[nodiscard]] static NodeId id(const char* name) { return node_id(name); }
    [[nodiscard]] static Puppet puppet(const char* name) {
        Puppet puppet;
        puppet.id = node_id(name);
        puppet.word.group = group_id(group_name);
        return puppet;
    }

    [[nodiscard]] Frame frame(Puppet& from) {
        Frame frame;
        frame.cluster = cluster_id(plan_.cluster);
        frame.sender = from.id;
        frame.boot = from.boot;
        frame.sequence = Sequence{++from.sequence};
        frame.wants_answer = from.wants_answer;
        frame.mode = from.mode.value_or(plan_.mode);
        frame.timing = from.timing.value_or(plan_.timing);
        frame.voters = from.voters.value_or(voters());
        frame.demotion = from.demotion;
        frame.epoch = from.epoch;
        frame.starting = from.starting;
        frame.drained = from.drained;
        if (!from.deaf) from.heard = newest().sequence;
        Echo echo =
            from.echo.value_or(Echo{id(plan_.self.c_str()), own_boot, from.heard, from.checked});
        if (echo.boot.value != 0) frame.echoes.push_back(echo);
        frame.groups.push_back(from.word);
        frame.ask = from.ask;
        frame.answer = from.answer;
        return frame;
    }
    Received hear(Puppet& from, int path = 0) { return hear(frame(from), path); }
    Received hear(const Frame& frame, int path = 0) {
        const Received received = election_->receive(now, frame, path);
        collect();
        return received;
    }

    void tick() {
        election_->tick(now);
        collect();
    }
    /// Time passes, every alarm rings.
    void run(Duration time) {
        const BootTime end = now + time;
        for (;;) {
            const BootTime next = election_->next_wakeup();
            if (next > end) break;
            ASSERT_GT(next, now);
            now = next;
            tick();
        }
        now = end;
    }
    /// The same, and each of the puppets is heard every interval.
    void run_with(Duration time, std::vector<Puppet*> heard) {
        const BootTime end = now + time;
        while (now < end) {
            run(std::min<Duration>(interval, end - now));
            for (Puppet* puppet : heard) hear(*puppet);
        }
    }

    void health(std::uint32_t demotion, bool urgent = false) {
        election_->health(now, {demotion, now, urgent, "sick"});
        collect();
    }
    void checked_since(BootTime begun, std::uint32_t demotion = 0) {
        election_->health(now, {demotion, begun, false, "sick"});
        collect();
    }
    void drain(bool drained) {
        election_->drain(now, drained);
        collect();
    }
    void let_go() {
        election_->let_go(now, "quorum is majority");
        collect();
    }
    void resign() {
        election_->resign(now);
        collect();
    }
    void announced(Term term) {
        election_->announced(now, group_id(group_name), term);
        collect();
    }
    std::uint32_t failover(NodeId target, bool force = false) {
        const auto request = election_->request_failover(now, group_id(group_name), target, force);
        collect();
        return request;
    }

    [[nodiscard]] std::vector<std::byte> save() const { return election_->save(); }
    /// What becomes of `saved` under the settings of `plan`.
    [[nodiscard]] Result<std::unique_ptr<Election>> restored(Bytes saved, const Plan& plan) const {
        return Election::restore(settings(plan), saved, now);
    }
    /// The same under another plan: what `hamr reload` does.
    void change(Plan plan, Duration gap = 5ms) {
        const std::vector<std::byte> saved = save();
        now += gap;
        auto next = restored(saved, plan);
        ASSERT_TRUE(next) << next.error().message();
        plan_ = std::move(plan);
        election_ = std::move(*next);
        tick();
    }
    [[nodiscard]] const Election& election() const { return *election_; }
    [[nodiscard]] static Settings settings_of(const Plan& plan) { return settings(plan); }

    /// The life goes on in another program, after `gap` in which nobody runs.
    void upgrade(Duration gap) {
        const std::vector<std::byte> saved = save();
        now += gap;
        auto next = restored(saved, plan_);
        ASSERT_TRUE(next) << next.error().message();
        election_ = std::move(*next);
        tick();
    }

    [[nodiscard]] GroupStatus status() const { return election_->status(now).groups.front(); }
    [[nodiscard]] NodeStatus status_of(std::size_t index) const {
        return election_->status(now).nodes.at(index);
    }
    [[nodiscard]] State state() const { return status().state; }
    [[nodiscard]] const Frame& newest() const { return sent.back().frame; }
    /// What the newest frame says of the group.
    [[nodiscard]] const GroupEntry& word() const { return newest().groups.front(); }
    [[nodiscard]] BootTime next_wakeup() const { return election_->next_wakeup(); }

    template <class T>
    [[nodiscard]] std::vector<T> all() const {
        std::vector<T> found;
        for (const Action& action : actions) {
            if (const auto* wanted = std::get_if<T>(&action)) found.push_back(*wanted);
        }
        return found;
    }
    /// The newest of its kind; one that says nothing, and a failure, when there is none.
    template <class T>
    [[nodiscard]] T last() const {
        const auto found = all<T>();
        if (!found.empty()) return found.back();
        ADD_FAILURE() << "no such action";
        return {};
    }
    void forget() { actions.clear(); }

    /// Every member tells that it holds no lease: the quarantine is over (rule M6).
    void welcome(std::vector<Puppet*> members) {
        for (Puppet* member : members) hear(*member);
        ASSERT_NE(state(), State::starting);
    }
    /// With the support and then the promise of `voter`.
    void make_leader(Puppet& voter) {
        ASSERT_EQ(state(), State::candidate);
        voter.word.supports = id(plan_.self.c_str());
        hear(voter);
        ASSERT_EQ(word().claim, Claim::candidate);
        voter.word.supports = no_node;
        voter.promise(id(plan_.self.c_str()), word().term);
        hear(voter);
        ASSERT_EQ(state(), State::leader);
    }

    BootTime now{1000s};
    std::vector<Send> sent;
    std::vector<Action> actions;  ///< since forget()

  private:
    static Settings settings(const Plan& plan) {
        Settings settings;
        settings.cluster = plan.cluster;
        settings.self = plan.self;
        settings.mode = plan.mode;
        settings.timing = plan.timing;
        settings.same_voters = plan.same_voters;
        for (const std::string& node : plan.nodes) {
            const bool witness = std::find(plan.witnesses.begin(), plan.witnesses.end(), node) !=
                                 plan.witnesses.end();
            settings.nodes.push_back({node, witness ? NodeRole::witness : NodeRole::router});
        }
        for (int group = 0; group < plan.groups; ++group) {
            const std::string name = group_name + (group == 0 ? "" : std::to_string(group));
            settings.groups.push_back({name, plan.prefer, plan.failback});
        }
        return settings;
    }
    [[nodiscard]] std::vector<NodeId> voters() const {
        std::vector<NodeId> ids;
        for (const std::string& node : plan_.nodes) ids.push_back(node_id(node));
        std::sort(ids.begin(), ids.end());
        return ids;
    }
    void collect() {
        for (Action& action : election_->take_actions()) {
            if (const auto* send = std::get_if<Send>(&action)) sent.push_back(*send);
            actions.push_back(std::move(action));
        }
    }

    Plan plan_;
    std::unique_ptr<Election> election_;
};

}  // namespace hamr::election::testing
