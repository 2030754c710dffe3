// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/follow.hpp"

#include "agent/cli/exit_codes.hpp"
#include "agent/cli/words.hpp"

namespace hamr::cli {

using namespace hamr::control;

DrainFollower::DrainFollower(const Status& before) : several_(before.groups.size() > 1) {
    for (const GroupStatus& group : before.groups) {
        if (group.leader == before.node) led_[group.name] = before.node;
    }
}

/// Of the groups that this node led.
void DrainFollower::tell_moves(const Status& status, Step& step) {
    for (const GroupStatus& group : status.groups) {
        const auto told = led_.find(group.name);
        if (told == led_.end() || !group.leader || told->second == *group.leader) continue;
        told->second = *group.leader;
        const bool back = *group.leader == status.node;
        step.lines.push_back(status.node + ": " + (several_ ? "group " + group.name + ": " : "") +
                             (back ? "leads again" : "leadership moved to " + *group.leader));
    }
}

DrainFollower::Step DrainFollower::look(const Status& status, Time now) {
    Step step;
    tell_moves(status, step);
    const DrainStatus& drain = status.drain;
    const std::string note = drain.note.empty() ? "" : "; " + drain.note;
    if (drain.state != DrainStatus::State::moving) moving_since_.reset();
    if (drain.state != DrainStatus::State::finishing || drain.left_ms != 0.0) due_since_.reset();
    switch (drain.state) {
        case DrainStatus::State::none:
            step.end = exit_failed;
            step.error = status.node + " is not drained any more: somebody has run `hamr undrain`";
            step.remedy = "run `hamr drain` again if it is to be drained";
            return step;
        case DrainStatus::State::drained:
            step.lines.push_back(status.node + ": drained" + note);
            step.end = exit_done;
            return step;
        case DrainStatus::State::moving:
            if (!moving_since_) moving_since_ = now;
            if (now - *moving_since_ < longest_move) break;
            step.end = exit_failed;
            step.error = status.node + ": leadership has not moved" + note;
            step.remedy = "it moves once another node can lead; `hamr undrain` ends the drain";
            return step;
        case DrainStatus::State::finishing:
            if (drain.left_ms != 0.0) break;
            if (!due_since_) due_since_ = now;
            if (now - *due_since_ < longest_cut) break;
            step.end = exit_failed;
            step.error = status.node + ": " + count(drain.connections, "connection") +
                         " should have been cut and are still there" + note;
            step.remedy = "see `hamr status` and `journalctl -u hamrd`";
            return step;
    }
    step.progress = status.node + ": " + show_drain(drain) + note;
    return step;
}

}  // namespace hamr::cli
