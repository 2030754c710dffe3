// SPDX-License-Identifier: GPL-2.0-or-later
// The election of one node whose peers have the key and say anything, in any order and at any time:
// it never says what a peer would refuse, never opens its gate for longer than a lease, shuts it
// before it steps down, and goes on in the next program where it was.
#include "election/election.hpp"
#include "election/wire.hpp"
#include "tests/fuzz/target.hpp"

#include <chrono>
#include <memory>
#include <variant>

namespace hamr::fuzz {

namespace {

using namespace hamr::election;
using std::chrono::milliseconds;

constexpr BootId own_boot{0xa001};
constexpr Timing timing{milliseconds(10), 3};

Settings settings(Mode mode) {
    Settings made;
    made.cluster = "c";
    made.self = "a";
    made.nodes = {{"a", NodeRole::router}, {"b", NodeRole::router}, {"w", NodeRole::witness}};
    made.groups = {{"g", {"a", "b"}, milliseconds(50)}, {"h", {"b", "a"}, std::nullopt}};
    made.mode = mode;
    made.timing = timing;
    return made;
}

class World {
  public:
    explicit World(Bytes input)
        : in_(input),
          mode_(draw(4) == 0 ? Mode::none : Mode::majority),
          node_(std::make_unique<Election>(settings(mode_), own_boot, now_)) {}

    void run() {
        look();
        for (int i = 0; i < 128 && in_.left() > 0; ++i) {
            step();
            look();
        }
    }

  private:
    unsigned draw(unsigned choices) { return in_.read<std::uint8_t>() % choices; }
    bool rarely() { return draw(8) == 7; }
    NodeId who() {
        constexpr const char* names[] = {"b", "w", "a", "x"};
        const unsigned drawn = draw(5);
        return drawn == 4 ? no_node : node_id(names[drawn]);
    }
    GroupId group() { return group_id(draw(2) == 0 ? "g" : "h"); }
    Term term() {
        return rarely() ? Term{last_term.value - draw(3)} : Term{in_.read<std::uint8_t>() % 8U};
    }

    void step() {
        switch (draw(12)) {
            case 0:
                return wait(milliseconds(draw(60)));
            case 1:
                return pause(milliseconds(draw(4) * 1000));
            case 2:
                return node_->health(
                    now_, {draw(3) * 50, now_ - milliseconds(draw(20)), draw(2) == 0, "sick"});
            case 3:
                return node_->drain(now_, draw(2) == 0);
            case 4:
                (void)node_->request_failover(now_, group(), who(), draw(2) == 0);
                return;
            case 5:
                if (rarely()) node_->resign(now_);
                return node_->announced(now_, group(), term());
            case 6:
                return live_on();
            default:
                return hear();
        }
    }

    /// Every alarm rings.
    void wait(Duration time) {
        const BootTime end = now_ + time;
        for (int i = 0; i < 4096; ++i) {
            const BootTime next = node_->next_wakeup();
            if (next > end) break;
            HAMR_ASSERT(i < 4095);
            now_ = std::max(now_, next);
            node_->tick(now_);
            look();
            HAMR_ASSERT(node_->next_wakeup() > now_);
        }
        now_ = end;
        node_->tick(now_);
    }

    /// None rings: the program was stopped.
    void pause(Duration time) {
        now_ += time;
        node_->tick(now_);
    }

    void live_on() {
        const auto saved = node_->save();
        auto next = Election::restore(settings(mode_), saved, now_);
        HAMR_ASSERT(next);
        if (mode_ == Mode::majority) HAMR_ASSERT((*next)->save() == saved);
        node_ = std::move(*next);
        node_->tick(now_);
    }

    GroupEntry entry(GroupId of) {
        GroupEntry made;
        made.group = of;
        made.claim = static_cast<Claim>(draw(4));
        if (made.claim != Claim::none) made.term = term();
        made.seen = term();
        made.promised_to = who();
        if (made.promised_to != no_node) made.promised_term = term();
        made.supports = who();
        made.released = term();
        made.successor = who();
        const unsigned flags = draw(4);
        made.forced = (flags & 1) != 0;
        made.announced = (flags & 2) != 0;
        return made;
    }

    void hear() {
        Frame frame;
        frame.cluster = cluster_id("c");
        frame.sender = who();
        frame.boot = BootId{1 + draw(2)};
        frame.sequence = Sequence{rarely() ? in_.read<std::uint64_t>() : ++sequence_};
        const unsigned flags = draw(8);
        frame.wants_answer = (flags & 1) != 0;
        frame.starting = (flags & 2) != 0;
        frame.drained = (flags & 4) != 0;
        frame.mode = rarely() ? Mode::none : mode_;
        frame.timing = rarely() ? Timing{milliseconds(1000), 3} : timing;
        frame.voters = {node_id("a"), node_id("b"), node_id("w")};
        if (rarely()) frame.voters.pop_back();
        std::sort(frame.voters.begin(), frame.voters.end());
        frame.demotion = draw(3) * 50;
        frame.epoch = HealthEpoch{draw(4)};
        const unsigned back = draw(8);
        frame.echoes = {
            {node_id("a"), rarely() ? BootId{7} : own_boot,
             Sequence{back == 7 ? newest_.value + 5
                                : newest_.value - std::min<std::uint64_t>(back, newest_.value)},
             HealthEpoch{draw(4)}}};
        frame.groups.push_back(entry(group_id("g")));
        if (draw(2) == 0) frame.groups.push_back(entry(group_id("h")));
        if (rarely()) frame.ask = Ask{draw(4), group(), who(), who(), draw(2) == 0};
        if (rarely())
            frame.answer = Answer{who(), draw(4), static_cast<AskResult>(draw(11)), who()};
        if (!valid(frame)) return;
        const Received received = node_->receive(now_, frame, static_cast<int>(draw(32)));
        const bool stranger = frame.sender != node_id("b") && frame.sender != node_id("w");
        HAMR_ASSERT(!stranger || (received.verdict == Verdict::dropped &&
                                  received.reason == DropReason::unknown_node));
    }

    /// What it wants done, and what it says of itself.
    void look() {
        for (const Action& action : node_->take_actions()) std::visit(*this, action);
        const Status status = node_->status(now_);
        HAMR_ASSERT(status.groups.size() == 2 && status.nodes.size() == 3);
        for (const GroupStatus& group : status.groups) HAMR_ASSERT(group.term <= last_term);
    }

  public:
    void operator()(const Send& send) {
        HAMR_ASSERT(valid(send.frame) && send.frame.sender == node_id("a"));
        HAMR_ASSERT(decode(encode(send.frame)) == send.frame);
        HAMR_ASSERT(send.frame.boot == own_boot && send.frame.sequence >= newest_);
        newest_ = send.frame.sequence;
    }
    void operator()(const SetGate& gate) {
        const Duration most = mode_ == Mode::majority ? usable(timing.lease()) : timing.lease();
        HAMR_ASSERT(gate.until <= now_ + most);
        gates_[gate.group == group_id("g") ? 0 : 1] = gate.until;
    }
    void operator()(const StepDown& down) {
        HAMR_ASSERT(gates_[down.group == group_id("g") ? 0 : 1] <= now_);
    }
    void operator()(const Lead& lead) { HAMR_ASSERT(lead.term.value > 0); }
    void operator()(const AnnounceAgain& again) { HAMR_ASSERT(is_one_line(again.reason)); }
    void operator()(const Transition& change) { HAMR_ASSERT(is_one_line(change.reason)); }
    void operator()(const FailoverDone& done) { HAMR_ASSERT(done.result <= AskResult::timed_out); }

  private:
    ByteReader in_;
    BootTime now_{std::chrono::hours(1)};
    Mode mode_;
    std::unique_ptr<Election> node_;
    std::uint64_t sequence_ = 0;
    Sequence newest_;
    std::array<BootTime, 2> gates_{};
};

void run(Bytes input) {
    World(input).run();
}

}  // namespace

const Target core{"core", run, 512 << 10, 16};

}  // namespace hamr::fuzz
