// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/failover_words.hpp"

namespace hamr::daemon {

control::FailoverAnswer explain(election::AskResult result, const std::string& group,
                                const std::string& target) {
    using control::Outcome;
    using election::AskResult;
    const std::string of = "group " + group + ": ";
    // Asked for the best peer: the answer may name none.
    const std::string peer = target.empty() ? "the best peer" : target;
    switch (result) {
        case AskResult::accepted:
            return {Outcome::done, of + target + " leads", {}, {}};
        case AskResult::already_leader:
            return {Outcome::done, of + target + " leads already", {}, {}};
        case AskResult::unknown_target:
            return {Outcome::unknown,
                    of + "the leader does not know the node " + target,
                    "check that every node has the same configuration",
                    {}};
        case AskResult::target_silent:
            return {Outcome::refused,
                    of + peer + " is silent",
                    "look at hamrd and the network on that node",
                    {}};
        case AskResult::target_worse:
            return {Outcome::refused,
                    of + (target.empty() ? "every other router" : target) +
                        " is less healthy than the leader",
                    "`hamr status` there says why; --force moves leadership all the same, even "
                    "to a node that cannot serve",
                    {}};
        case AskResult::target_starting:
            return {Outcome::refused,
                    of + peer + " has just started and may not lead yet",
                    "try again in three seconds",
                    {}};
        case AskResult::target_drained:
            return {Outcome::refused, of + peer + " is drained", "undrain it first", {}};
        case AskResult::target_witness:
            return {Outcome::refused,
                    of + peer + " is a witness: it votes and never leads",
                    "name a router",
                    {}};
        case AskResult::no_candidate:
            return {Outcome::refused,
                    of + "no other router can take over",
                    "`hamr status` shows who is silent, starting, drained, or has another "
                    "configuration",
                    {}};
        case AskResult::not_leader:
            return {Outcome::refused,
                    of + "nobody leads at the moment",
                    "`hamr status` shows what is missing; try again when a leader is there",
                    {}};
        case AskResult::timed_out:
            return {Outcome::timed_out,
                    of + "no successor has announced the address within 3 s",
                    "`hamr status` on " + (target.empty() ? "the routers" : target) +
                        " shows who leads and what hinders it",
                    {}};
    }
    return {Outcome::failed, of + "unknown answer", {}, {}};
}

}  // namespace hamr::daemon
