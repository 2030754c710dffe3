// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/peer_link.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace hamr::election {

bool PeerLink::Window::insert(std::uint64_t sequence) {
    if (sequence > top) {
        const std::uint64_t step = sequence - top;
        bits = step >= 64 ? 0 : bits << step;
        bits |= 1;
        top = sequence;
        return true;
    }
    const std::uint64_t age = top - sequence;
    if (age >= 64 || (bits >> age & 1) != 0) return false;
    bits |= std::uint64_t{1} << age;
    return true;
}

bool PeerLink::Window::contains(std::uint64_t sequence) const {
    return sequence <= top && top - sequence < 64 && (bits >> (top - sequence) & 1) != 0;
}

PeerLink::Judgement PeerLink::judge(BootTime now, const Frame& frame, int path, NodeId self,
                                    BootId my_boot, Sequence my_newest) {
    HAMR_ASSERT(path >= 0 && path < max_paths);
    std::optional<Sequence> mine;
    bool of_me = false;
    bool knows_me = false;  // the confirmed boot comes first (A9)
    for (const Echo& echo : frame.echoes) {
        if (echo.node != self) continue;
        if (!std::exchange(of_me, true)) knows_me = echo.boot == my_boot;
        if (echo.boot == my_boot && echo.newest <= my_newest) mine = echo.newest;
    }

    if (heard() && frame.boot == boot_) {
        const Judgement judgement = judge_confirmed(now, frame, path);
        if (judgement.verdict != Verdict::used) return judgement;
        if (mine) echoed_ = std::max(echoed_, *mine);
        knows_me_ = knows_me;
        return judgement;
    }
    const auto retired = std::find_if(retired_.begin(), retired_.end(),
                                      [&](const Retired& r) { return r.boot == frame.boot; });
    if (retired != retired_.end()) {
        // A late frame of an older life may have taken its place (A10). What was sent here since
        // then can only be known to somebody who lives.
        const bool lives = mine && *mine > retired->at;
        if (!lives) return {Verdict::dropped, DropReason::replayed, false};
        retired_.erase(retired);
    }
    if (mine && *mine >= echoed_) {
        adopt(now, frame, path, my_newest);
        echoed_ = *mine;
        knows_me_ = knows_me;
        return {Verdict::used, {}, true};
    }
    // A peer that has just restarted knows nothing of this node yet. One that echoes an old life
    // of this node, or less than it echoed before, is a recording.
    if (heard() && of_me) return {Verdict::dropped, DropReason::replayed, false};
    return greet(now, frame);
}

PeerLink::Judgement PeerLink::judge_confirmed(BootTime now, const Frame& frame, int path) {
    const std::uint64_t sequence = frame.sequence.value;
    if (!paths_[static_cast<std::size_t>(path)].insert(sequence)) {
        return {Verdict::dropped, DropReason::replayed, false};
    }
    const bool copy = any_path_.contains(sequence);
    if (!copy && !any_path_.insert(sequence)) {
        return {Verdict::dropped, DropReason::replayed, false};  // older than the window
    }
    // A copy over another of the peer's addresses is what several paths are for. One from an
    // address that is no peer's is somebody else's doing.
    if (copy && path == unknown_path) return {Verdict::dropped, DropReason::replayed, false};
    if (copy) return {Verdict::duplicate, {}, false};
    if (frame.sequence <= newest_) return {Verdict::late, {}, false};
    newest_ = frame.sequence;
    last_heard_ = now;
    return {Verdict::used, {}, false};
}

PeerLink::Judgement PeerLink::greet(BootTime now, const Frame& frame) {
    const auto known = std::find_if(pending_.begin(), pending_.end(),
                                    [&](const Pending& p) { return p.boot == frame.boot; });
    if (known != pending_.end()) {
        if (frame.sequence <= known->newest) return {Verdict::late, {}, false};
        known->newest = frame.sequence;
        known->at = now;
        return {Verdict::greeted, {}, false};
    }
    if (pending_.size() == max_pending) pending_.erase(pending_.begin());
    pending_.push_back({frame.boot, frame.sequence, now});
    return {Verdict::greeted, {}, true};
}

void PeerLink::adopt(BootTime now, const Frame& frame, int path, Sequence my_newest) {
    if (heard()) {
        if (retired_.size() == max_retired) retired_.erase(retired_.begin());
        retired_.push_back({boot_, my_newest});
    }
    boot_ = frame.boot;
    newest_ = frame.sequence;
    last_heard_ = now;
    paths_ = {};
    any_path_ = {};
    paths_[static_cast<std::size_t>(path)].insert(frame.sequence.value);
    any_path_.insert(frame.sequence.value);
    pending_.clear();
}

void PeerLink::append_echoes(BootTime now, NodeId peer, HealthEpoch checked,
                             std::vector<Echo>& echoes) const {
    if (heard()) echoes.push_back({peer, boot_, newest_, checked});
    for (const Pending& pending : pending_) {
        if (now - pending.at < longest_lease) {
            echoes.push_back({peer, pending.boot, pending.newest, HealthEpoch{}});
        }
    }
}

bool PeerLink::may_greet(BootTime now, Duration gap, bool fresh) {
    if (now - last_greeted_ < gap) return fresh && greeted_besides_++ < max_besides;
    last_greeted_ = now;
    greeted_besides_ = 0;
    return true;
}

}  // namespace hamr::election
