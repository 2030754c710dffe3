// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// The machine that keeps one router running. Pure: inputs and `now` in, actions out.
//
// Contract   One instance, never two: `Start` is said only when nothing is known to run, and after
//            an end only once `Gone` has told that nothing of the old instance is left.
//            Every transition has a reason in status().
// Ends that  The first is answered by a start at once, the next ones after 100 ms, 200 ms, … 30 s.
// nobody     Having run for `well` forgets them. The start after `budget` starts within `window` is
// asked for  not made: failed, tried again once every `retry`, or after a reload.
// Settling   A router that is just starting may lose a request, or die of its signal: reload and
//            finish wait until it has served for `settled`, or run for `settled_unserved`.
// Stopping   The router's own polite way; `Kill` after stop_timeout, again every second until Gone.
// systemd    restarts units by itself: then (`Restarting`) the machine waits and does not start.
// Time       The caller says Tick at next(), or later; too early does no harm.

namespace hamr::router {

enum class RunState : std::uint8_t {
    off,       ///< not wanted here (a follower's with StartWhen::leader, drained, stopped)
    starting,  ///< started, not yet known to serve (until the first check is up)
    running,
    stopping,
    finishing,  ///< drains
    waiting,    ///< ended by itself; its next start is due at next_start
    failed,     ///< the budget of restarts is used up; tried again rarely, or after reload()
};
[[nodiscard]] std::string_view to_string(RunState state);

struct SupervisorStatus {
    RunState state = RunState::off;
    int pid = 0;                ///< 0: none (or systemd's)
    BootTime since = long_ago;  ///< of the state; while it starts or runs: of the process
    unsigned restarts = 0;      ///< since this agent began; those that nobody asked for
    std::string reason;         ///< why it is not running, or what happened to it last
    std::string last_exit;      ///< words for the newest exit, "" before the first
    std::optional<BootTime> next_start;
    bool adopted = false;

    friend bool operator==(const SupervisorStatus&, const SupervisorStatus&) = default;
};

/// What the router is asked for, in its own way.
enum class Ask : std::uint8_t { stop, finish, reload, resume };

namespace input {

/// Nothing runs. The first input of all is this one or one of the next two; until then the machine
/// only remembers.
struct FoundNothing {};
/// An earlier life of the agent started it, and it is what would be started now.
struct FoundRunning {
    int pid = 0;
    BootTime since = long_ago;
};
/// It runs, but is not what would be started now: it is ended first.
struct FoundOther {
    int pid = 0;
    std::string why;
};
/// Whether it runs cannot be told for now (systemd does not answer).
struct Lost {
    std::string why;
};
struct Want {
    bool wanted = false;
};
/// Drain: as Want{false}, but its connections may finish until then.
struct Finish {
    BootTime deadline = long_ago;
};
/// As Want{false}, also in the middle of a Finish; answered by Stopped.
struct Stop {};
/// Answered by ReloadDone.
struct Reload {};
/// The answer to Start; also when somebody else started it, or its main process changed.
struct Started {
    int pid = 0;
};
struct StartFailed {
    std::string why;
};
/// Its main process ended.
struct Exited {
    std::string how;     ///< "exited with code 1", "was killed by signal 9 (SIGKILL)"
    bool clean = false;  ///< exit code 0
    std::string said;    ///< the line of its output that tells most; may be empty
};
/// Nothing of it is left. The answer to EndRest, and what follows a Kill.
struct Gone {
    unsigned left = 0;  ///< processes that had outlived the main one
    std::string how;    ///< better words than Exited had; may be empty
};
/// It ended, and systemd will start it again.
struct Restarting {
    std::string how;
};
struct Judged {
    Result<> verdict;
};
/// The answer to what was asked for: whether it was heard, not whether it was done.
struct Answered {
    Ask what = Ask::stop;
    Result<> result;
};
/// Its checks say that it serves.
struct Serves {};
struct Tick {};

}  // namespace input

using Input = std::variant<input::FoundNothing, input::FoundRunning, input::FoundOther, input::Lost,
                           input::Want, input::Finish, input::Stop, input::Reload, input::Started,
                           input::StartFailed, input::Exited, input::Gone, input::Restarting,
                           input::Judged, input::Answered, input::Serves, input::Tick>;

namespace action {

struct Start {};
struct Judge {};
struct Request {
    Ask what = Ask::stop;
};
/// Everything of the instance, at once.
struct Kill {};
/// What outlived the main process: politely, or at once.
struct EndRest {
    bool polite = false;
};
struct Crashed {
    std::string reason;
};
/// status() changed.
struct Changed {};
struct ReloadDone {
    Result<> result;
};
struct Stopped {};

}  // namespace action

using Action =
    std::variant<action::Start, action::Judge, action::Request, action::Kill, action::EndRest,
                 action::Crashed, action::Changed, action::ReloadDone, action::Stopped>;

struct SupervisionSettings {
    std::string name;  ///< for messages
    Duration stop_timeout = std::chrono::seconds{10};
    bool can_judge = false;
    bool can_reload = false;  ///< else a reload is a restart
    bool can_finish = false;  ///< else a drain waits for its deadline, and stops then
    bool ends_when_finished = false;
    bool can_resume = false;  ///< takes a finish back; else it is restarted for that
    /// Said of a router that went into the background.
    std::string background_remedy = "make it stay in the foreground";
};

class Supervision {
  public:
    static constexpr Duration first_pause = std::chrono::milliseconds{100};
    static constexpr Duration longest_pause = std::chrono::seconds{30};
    static constexpr Duration well = std::chrono::seconds{60};
    static constexpr std::size_t budget = 5;
    static constexpr Duration window = std::chrono::seconds{60};
    static constexpr Duration retry = std::chrono::seconds{60};
    /// An end sooner than this after the start is one "at once".
    static constexpr Duration at_once = std::chrono::seconds{1};
    static constexpr Duration settled = std::chrono::milliseconds{250};
    static constexpr Duration settled_unserved = std::chrono::seconds{2};
    /// Between two SIGKILLs, and how long after stop_timeout a Stop is answered at the latest.
    static constexpr Duration again = std::chrono::seconds{1};

    explicit Supervision(SupervisionSettings settings);

    [[nodiscard]] std::vector<Action> step(BootTime now, const Input& input);
    [[nodiscard]] const SupervisorStatus& status() const { return status_; }
    /// When the next Tick is due, or `never`.
    [[nodiscard]] BootTime next() const;

  private:
    enum class Phase : std::uint8_t {
        unknown,
        off,
        launching,
        up,
        finishing,
        stopping,
        ending,  ///< the main process is gone, the rest may not be
        waiting,
        failed,
        elsewhere,  ///< systemd's turn
    };

    void on(const input::FoundNothing&);
    void on(const input::FoundRunning& found);
    void on(const input::FoundOther& found);
    void on(const input::Lost& lost);
    void on(const input::Want& want);
    void on(const input::Finish& finish);
    void on(const input::Stop&);
    void on(const input::Reload&);
    void on(const input::Started& started);
    void on(const input::StartFailed& failed);
    void on(const input::Exited& exited);
    void on(const input::Gone& gone);
    void on(const input::Restarting& restarting);
    void on(const input::Judged& judged);
    void on(const input::Answered& answered);
    void on(const input::Serves&);
    void on(const input::Tick&);

    void enter(Phase phase);
    void launch();
    void begin_stop(std::string reason);
    void ask_settled(Ask what);
    [[nodiscard]] BootTime settled_at() const;
    void begin_finish();
    void unwanted();
    void settle();
    void restart();
    void apply_reload();
    void finish_reload(Result<> result);
    void ended(const std::string& how, const std::string& said);
    void forget_failures();
    void tell_changed();
    [[nodiscard]] bool wanted() const { return wanted_.value_or(false); }
    [[nodiscard]] RunState shown() const;

    SupervisionSettings settings_;
    SupervisorStatus status_;
    SupervisorStatus told_;
    std::vector<Action> actions_;
    BootTime now_ = long_ago;
    Phase phase_ = Phase::unknown;
    std::optional<bool> wanted_;
    bool served_ = false;
    bool asked_ = false;         ///< the end that is under way was asked for
    bool clean_ = false;         ///< the newest exit
    bool finish_asked_ = false;  ///< the router itself was told to finish
    bool lost_ = false;
    bool judging_ = false;
    bool reloading_ = false;
    bool exhausted_ = false;
    unsigned failures_ = 0;         ///< ends in a row that nobody asked for
    std::vector<BootTime> starts_;  ///< at most `budget`, oldest first
    Duration ran_{};                ///< how long the newest instance did
    std::optional<Ask> later_;      ///< to be asked at settled_at()
    BootTime served_at_ = never;
    BootTime kill_at_ = never;
    BootTime finish_at_ = never;
    BootTime stop_due_ = never;  ///< a Stop waits for its answer
    BootTime next_start_ = never;
};

}  // namespace hamr::router
