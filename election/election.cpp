// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/election.hpp"

#include "base/assert.hpp"
#include "election/membership.hpp"

#include <algorithm>
#include <utility>

namespace hamr::election {

namespace {

constexpr Duration request_timeout = std::chrono::seconds{3};
constexpr Duration answer_repeats = std::chrono::seconds{1};
constexpr std::size_t max_requests = 16;
constexpr int max_holds = 8;

bool leader_among(const Frame& frame) {
    return std::any_of(frame.groups.begin(), frame.groups.end(),
                       [](const GroupEntry& entry) { return entry.claim == Claim::leader; });
}

}  // namespace

Election::Election(Settings settings, BootId boot, BootTime now)
    : cluster_(std::move(settings), boot),
      now_(now),
      next_send_(now),
      // An answer to the same node's earlier life must not pass for one to this life.
      newest_request_(static_cast<std::uint32_t>(boot.value)) {
    for (Peer& peer : cluster_.peers) peer.watch_paths(now);
    for (const GroupSettings& group : cluster_.settings.groups) {
        groups_.emplace_back(group, cluster_, groups_.size(), now);
        // The gate outlives the agent: what an earlier life left open is shut before this one tells
        // anybody that it holds no lease.
        out_.actions.emplace_back(SetGate{groups_.back().id(), now});
    }
}

Group* Election::find(GroupId group) {
    const auto found = std::find_if(groups_.begin(), groups_.end(),
                                    [&](const Group& g) { return g.id() == group; });
    return found == groups_.end() ? nullptr : &*found;
}

bool Election::leads() const {
    return std::any_of(groups_.begin(), groups_.end(), [](const Group& g) { return g.leads(); });
}

bool Election::claims() const {
    return std::any_of(groups_.begin(), groups_.end(), [](const Group& g) { return g.claims(); });
}

// Every event: begin, the event itself, finish ---------------------------------------------------

void Election::begin(BootTime now) {
    HAMR_ASSERT(now >= now_);
    notice_hold(now);
    now_ = now;
    for (Group& group : groups_) group.expire(now, out_);
}

// Mode none takes silence for death. A node that was itself held up has heard nothing either: it
// reads what waits in its sockets first, and after a hold of D, when those have run over and
// anybody may lead, it listens as after a start. A few times only until it hears a leader: a host
// that is always slow is late, but not mute.
void Election::notice_hold(BootTime now) {
    const Duration late = cluster_.interval() / 8;
    if (cluster_.majority() || now - now_ <= late) return;
    const Duration held = now - next_wakeup();
    if (held <= late || holds_ >= max_holds) return;
    ++holds_;
    // Whoever has not proved yet that it lives (A8) needs two flights for it.
    const bool all_heard = std::all_of(cluster_.peers.begin(), cluster_.peers.end(),
                                       [](const Peer& peer) { return peer.link.heard(); });
    const Duration reads = all_heard ? late : cluster_.interval() / 2;
    cluster_.listen_until = now + (held < cluster_.lease() ? reads : cluster_.lease());
}

void Election::finish(BootTime now) {
    for (Group& group : groups_) group.tick(now, out_);
    if (now >= next_send_) out_.broadcast = true;
    flush(now);
    follow_requests(now);
}

void Election::flush(BootTime now) {
    // Sending may make a leader of a candidate (its own vote was the last one missing), who then
    // tells at once: twice is the most that can happen.
    for (int round = 0; round < 2 && out_.broadcast; ++round) {
        out_.broadcast = false;
        broadcast(now);
        for (Group& group : groups_) group.sent(now, out_);
    }
    out_.broadcast = false;
}

void Election::tick(BootTime now) {
    begin(now);
    finish(now);
}

Received Election::receive(BootTime now, const Frame& frame, int path) {
    begin(now);
    const Received received = take(now, frame, path);
    finish(now);
    return received;
}

Received Election::take(BootTime now, const Frame& frame, int path) {
    if (frame.cluster != cluster_.id) return {Verdict::dropped, DropReason::wrong_cluster};
    Peer* peer = cluster_.find(frame.sender);
    if (peer == nullptr) return {Verdict::dropped, DropReason::unknown_node};
    const auto exchanges = [&] { return cluster_.alive(*peer, now) && cluster_.hears(*peer, now); };
    const bool apart = peer->link.heard() && !exchanges();
    const PeerLink::Judgement judgement =
        peer->link.judge(now, frame, path, cluster_.self, cluster_.boot, cluster_.newest_sent);
    if (judgement.new_boot && judgement.verdict == Verdict::used) peer->watch_paths(now);
    if (judgement.verdict != Verdict::dropped && frame.boot == peer->link.boot()) {
        peer->heard_on[static_cast<std::size_t>(path)] = now;
    }
    if (judgement.verdict == Verdict::greeted) {
        // A boot that is new to us is answered whatever else was: recorded greetings of older
        // boots must not keep the living one from being heard.
        if (peer->link.may_greet(now, cluster_.interval() / 2, judgement.new_boot)) {
            reply(now, *peer);
        }
    } else if (judgement.verdict == Verdict::used) {
        if (apart && exchanges()) {
            for (Group& group : groups_) group.reunited(now, *peer);
        }
        use(now, *peer, frame, judgement.new_boot);
    }
    return {judgement.verdict, judgement.reason};
}

void Election::use(BootTime now, Peer& peer, const Frame& frame, bool new_boot) {
    cluster_.note(now, peer, frame, new_boot);
    for (Group& group : groups_) {
        group.receive(now, peer, peer.entry(group.id(), group.place()), frame, out_);
    }
    const bool led = leader_among(frame);
    if (leads() || led) holds_ = 0;
    if (!led) {
        peer.beats.pause();
    } else if (frame.wants_answer) {
        peer.beats.beat(now, frame.timing.interval);
    }
    if (frame.ask) obey(now, peer, *frame.ask);
    if (frame.answer && frame.answer->asker == cluster_.self) hear(now, *frame.answer);
    const bool answer = frame.wants_answer || out_.answer || new_boot;
    out_.answer = false;
    for (Group& group : groups_) group.tick(now, out_);
    if (answer && !out_.broadcast) {
        const bool regular = !leads() && now - last_broadcast_ >= cluster_.interval() / 2;
        if (regular) {
            out_.broadcast = true;
        } else {
            reply(now, peer);
        }
    }
}

// Frames ------------------------------------------------------------------------------------------

Frame Election::compose(BootTime now, bool wants_answer) {
    Frame frame;
    frame.cluster = cluster_.id;
    frame.sender = cluster_.self;
    frame.boot = cluster_.boot;
    frame.sequence = cluster_.newest_sent = Sequence{cluster_.newest_sent.value + 1};
    frame.wants_answer = wants_answer;
    frame.mode = cluster_.settings.mode;
    frame.timing = cluster_.settings.timing;
    frame.voters = cluster_.voters;
    frame.demotion = cluster_.demotion;
    frame.epoch = cluster_.epoch;
    frame.drained = cluster_.drained || cluster_.resigned;
    frame.echoes.reserve(cluster_.peers.size());
    frame.groups.reserve(groups_.size());
    for (const Peer& peer : cluster_.peers) {
        peer.link.append_echoes(now, peer.id, peer.checked, frame.echoes);
    }
    for (const Group& group : groups_) {
        frame.groups.push_back(group.entry(now));
        frame.starting = frame.starting || group.starting();
    }
    for (const Request& request : requests_) {
        if (request.successor != no_node || request.leader == cluster_.self) continue;
        frame.ask = Ask{request.id, request.group, request.leader, request.target, request.force};
        break;
    }
    if (answer_ && now < answer_until_) frame.answer = answer_;
    cluster_.sent.record(frame.sequence, {now, cluster_.lease()});
    return frame;
}

void Election::broadcast(BootTime now) {
    const bool claim = claims();
    if (claim && now - next_send_ < cluster_.interval()) {
        // A leader keeps its beat: a late timer does not push later frames further out.
        if (now >= next_send_) next_send_ += cluster_.interval();
        if (next_send_ <= now) next_send_ = now + cluster_.interval();
        next_send_ = std::min(next_send_, now + cluster_.interval());
    } else {
        // A follower's beat is the answer to its leader's; its own timer is for silence.
        next_send_ = now + cluster_.interval() * (claim ? 4 : 5) / 4;
    }
    last_broadcast_ = now;
    out_.actions.emplace_back(Send{compose(now, claim), no_node});
}

void Election::reply(BootTime now, const Peer& peer) {
    out_.actions.emplace_back(Send{compose(now, false), peer.id});
}

BootTime Election::next_wakeup() const {
    BootTime next = next_send_;
    for (const Group& group : groups_) next = std::min(next, group.next_wakeup(now_));
    for (const Request& request : requests_) next = std::min(next, request.deadline);
    // Everything due has been done at now_; never let rounding spin the loop.
    return std::max(next, now_ + std::chrono::microseconds{50});
}

std::vector<Action> Election::take_actions() {
    return std::exchange(out_.actions, {});
}

// The node ----------------------------------------------------------------------------------------

void Election::health(BootTime now, const HealthReport& report) {
    begin(now);
    for (Peer& peer : cluster_.peers) {
        if (peer.link.heard() && peer.checked != peer.epoch &&
            report.begun_at >= peer.epoch_heard_at) {
            peer.checked = peer.epoch;
            out_.broadcast = true;
        }
    }
    cluster_.urgent = report.urgent;
    cluster_.health_reason = report.reason;
    if (report.demotion != cluster_.demotion) {
        cluster_.demotion = report.demotion;
        ++cluster_.epoch.value;
        out_.broadcast = true;
    }
    finish(now);
}

void Election::drain(BootTime now, bool drained) {
    begin(now);
    if (drained != cluster_.drained) {
        cluster_.drained = drained;
        out_.broadcast = true;
    }
    finish(now);
}

void Election::resign(BootTime now) {
    begin(now);
    cluster_.resigned = true;
    for (Group& group : groups_) group.resign(now, out_);
    out_.broadcast = true;
    finish(now);
}

void Election::let_go(BootTime now, const std::string& why) {
    begin(now);
    for (Group& group : groups_) group.let_go(now, why, out_);
    finish(now);
}

Duration Election::lease_under(const Settings& next, BootTime now) const {
    Duration least = Duration::max();
    const std::vector<NodeId> voters = membership(next).voters;
    for (const Group& group : groups_) {
        const bool stays = std::any_of(
            next.groups.begin(), next.groups.end(),
            [&](const GroupSettings& each) { return group_id(each.name) == group.id(); });
        if (stays && group.leads())
            least = std::min(least, group.lease_under(voters, next.mode) - now);
    }
    return least;
}

void Election::announced(BootTime now, GroupId group, Term term) {
    begin(now);
    if (Group* found = find(group)) found->announced(term, out_);
    finish(now);
}

// hamr failover -----------------------------------------------------------------------------------

std::uint32_t Election::request_failover(BootTime now, GroupId group, NodeId target, bool force) {
    begin(now);
    Request request;
    request.id = ++newest_request_;
    request.group = group;
    request.target = target;
    request.force = force;
    request.deadline = now + request_timeout;
    Group* found = find(group);
    const Group::Known known = found != nullptr ? found->known(now) : Group::Known{};
    request.leader = known.leader;
    request.term = known.term;
    if (known.leader == no_node || requests_.size() >= max_requests) {
        done(request, AskResult::not_leader, no_node);
    } else if (target != no_node && target != cluster_.self && cluster_.find(target) == nullptr) {
        done(request, AskResult::unknown_target, target);
    } else if (known.leader == target) {
        done(request, AskResult::already_leader, target);
    } else if (known.leader == cluster_.self) {
        const AskResult result =
            found->hand_over(now, target, force, "hamr failover here", request.successor, out_);
        if (result == AskResult::accepted) {
            requests_.push_back(request);
        } else {
            done(request, result, target);
        }
    } else {
        requests_.push_back(request);
        out_.broadcast = true;
    }
    finish(now);
    return request.id;
}

void Election::obey(BootTime now, const Peer& peer, const Ask& ask) {
    if (ask.leader != cluster_.self) return;
    const auto known = std::find_if(obeyed_.begin(), obeyed_.end(),
                                    [&](const Obeyed& o) { return o.asker == peer.id; });
    const bool repeated =
        known != obeyed_.end() && known->boot == peer.link.boot() && known->answer.id == ask.id;
    if (!repeated) {
        Answer answer{peer.id, ask.id, AskResult::not_leader, ask.target};
        if (Group* group = find(ask.group)) {
            answer.result = group->hand_over(now, ask.target, ask.force,
                                             "hamr failover on " + peer.name, answer.target, out_);
        }
        if (known != obeyed_.end()) obeyed_.erase(known);
        obeyed_.push_back({peer.id, peer.link.boot(), answer});
        answer_ = answer;
    } else {
        answer_ = known->answer;
    }
    answer_until_ = now + answer_repeats;
    out_.answer = true;
}

void Election::hear(BootTime now, const Answer& answer) {
    const auto found = std::find_if(requests_.begin(), requests_.end(), [&](const Request& r) {
        return r.id == answer.id && r.successor == no_node;
    });
    if (found == requests_.end()) return;
    if (answer.result == AskResult::accepted) {
        found->successor = answer.target;
        follow_requests(now);
        return;
    }
    const Request request = *found;
    requests_.erase(found);
    done(request, answer.result, answer.target);
}

void Election::follow_requests(BootTime now) {
    for (auto request = requests_.begin(); request != requests_.end();) {
        Group* group = find(request->group);
        const Group::Known known = group != nullptr ? group->known(now) : Group::Known{};
        const bool led = request->successor != no_node && known.leader == request->successor &&
                         known.term > request->term && known.announced;
        if (led) {
            done(*request, AskResult::accepted, request->successor);
        } else if (now >= request->deadline) {
            done(*request, AskResult::timed_out, request->successor);
        } else {
            ++request;
            continue;
        }
        request = requests_.erase(request);
    }
}

void Election::done(const Request& request, AskResult result, NodeId target) {
    out_.actions.emplace_back(FailoverDone{request.id, result, target});
}

// Status ------------------------------------------------------------------------------------------

Status Election::status(BootTime now) const {
    Status status;
    status.mode = cluster_.settings.mode;
    for (const Group& group : groups_) status.groups.push_back(group.status(now));
    for (const NodeSettings& settings : cluster_.settings.nodes) {
        NodeStatus& node = status.nodes.emplace_back();
        node.name = settings.name;
        node.role = settings.role;
        const Peer* peer = cluster_.find(node_id(settings.name));
        if (peer == nullptr) {
            node.demotion = cluster_.demotion;
            node.heard = true;
            node.alive = true;
            node.drained = cluster_.drained;
            node.starting = std::any_of(groups_.begin(), groups_.end(),
                                        [](const Group& g) { return g.starting(); });
            continue;
        }
        node.demotion = peer->demotion;
        node.heard = peer->link.heard();
        node.alive = cluster_.alive(*peer, now);
        node.drained = peer->drained;
        node.starting = peer->starting;
        node.mismatch = peer->mismatch;
        node.told = peer->told;
        if (node.heard) node.silent = now - peer->link.last_heard();
        node.heard_on = peer->heard_on;
        node.paths_since = peer->paths_since;
        node.beat_ratio = peer->beats.ratio();
    }
    return status;
}

}  // namespace hamr::election
