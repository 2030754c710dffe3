// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "agent/daemon/inputs.hpp"
#include "agent/daemon/options.hpp"
#include "agent/daemon/pulse.hpp"
#include "agent/daemon/reexec.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

// `hamr restart`: the agent executes its program again, which an upgrade may have replaced, without
// moving anything (docs/operations.md; reexec.hpp is how). `hamr reload`: the same, to take over
// what has changed in the configuration.
//
// In this order: the configuration is read and judged (a restart must not change what the election
// rests on, a reload only by a step that is safe); the new program rehearses its start, which
// proves that it can read the same files and measures how long it takes; then it is decided by
// arithmetic whether a leader may go over with its lease (rule U4) or hands over first; then the
// program is executed. Until that moment nothing has been given up: whatever speaks against it is
// the answer.
//
// Threading: the work loop. Nothing blocks but reading and noting files.

namespace hamr::daemon {

/// What is left of a lease of `usable` once it has been renewed, and what the restart takes.
struct RestartTimes {
    Duration took{};      ///< as rehearsed
    Duration usable{};    ///< D (1 - rho)
    Duration interval{};  ///< I
};
/// What a restart may take, with a margin for a busier moment.
[[nodiscard]] Duration restart_needs(Duration took);
/// Rule U4: a frame, its answer, and the restart fit into one lease.
[[nodiscard]] bool fits(const RestartTimes& times);

/// What the election is told by a configuration.
[[nodiscard]] election::Settings settings_of(const Inputs& inputs);

/// What `next` asks that a restart in place cannot give; empty when there is nothing.
[[nodiscard]] std::string restart_difference(const Inputs& now, const Inputs& next);

class Restarter {
  public:
    struct Hands {
        std::function<control::Status()> status;
        std::function<void(control::FailoverRequest,
                           std::function<void(control::FailoverAnswer)> done)>
            failover;
        /// What the election knows; nothing while the pulse loop does not answer.
        std::function<std::optional<election::Status>()> election;
        /// See Pulse::leave; Departure::failed is called on the work loop.
        std::function<void(Departure)> leave;
        /// Something to remember.
        std::function<void(const std::string&)> log;
    };
    struct CommandLine {
        Options options;
        std::vector<std::string> arguments;  ///< of this program, as it was called
        int lock = -1;                       ///< of the network namespace
    };

    /// `inputs` outlives it.
    Restarter(boost::asio::io_context& io, const Inputs& inputs, CommandLine command, Hands hands);

    using Done = std::function<void(control::Answer)>;

    /// `done` comes before the program is executed: refused and why, or what is about to happen.
    void restart(Done done);

    /// The same, when the files say something else than what runs; if they do not, `unchanged` is
    /// called with `done`.
    void reload(bool force, Done done, std::function<void(Done)> unchanged);

  private:
    /// What a reload is about.
    struct Step {
        Inputs next;
        std::vector<std::string> words;  ///< what changes
        bool force = false;
        bool other_mode = false;
        bool other_voters = false;
        bool other_addresses = false;
        std::vector<std::string> gone;  ///< groups
    };

    bool begin(const char* what, Done& done);
    void refuse(const control::Answer& answer);
    void refuse(const std::string& why, const std::string& remedy);
    [[nodiscard]] Result<Inputs> read(control::Answer& refusal) const;
    /// What speaks against it; nothing when it may be taken.
    [[nodiscard]] std::optional<control::Answer> judge(const Step& step) const;
    [[nodiscard]] Step step_to(Inputs next, bool force) const;
    void rehearse();
    void reload_rehearsed(const Rehearsal& rehearsal);
    void let_gone_groups_go(std::vector<std::string> groups, std::function<void()> then);
    [[nodiscard]] Result<> forget_voters();
    void note_voters_again();
    void rehearsed(const Rehearsal& rehearsal);
    void hand_over(std::vector<std::string> groups);
    void go(Duration needs, const std::string& message);

    boost::asio::io_context& io_;
    const Inputs& inputs_;
    CommandLine command_;
    Hands hands_;
    boost::asio::steady_timer timer_;
    std::string program_;
    bool same_life_ = true;
    std::optional<Step> step_;  ///< of the reload that is under way
    const char* what_ = "";     ///< for the log
    bool forgotten_ = false;    ///< the note of the voters has gone for it
    Done done_;                 ///< while a restart is under way
};

}  // namespace hamr::daemon
