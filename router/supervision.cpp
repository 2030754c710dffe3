// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/supervision.hpp"

#include "router/exit_words.hpp"

#include <algorithm>
#include <utility>

namespace hamr::router {

std::string_view to_string(RunState state) {
    switch (state) {
        case RunState::off:
            return "off";
        case RunState::starting:
            return "starting";
        case RunState::running:
            return "running";
        case RunState::stopping:
            return "stopping";
        case RunState::finishing:
            return "finishing";
        case RunState::waiting:
            return "waiting";
        case RunState::failed:
            return "failed";
    }
    return "?";
}

Supervision::Supervision(SupervisionSettings settings) : settings_(std::move(settings)) {
    told_ = status_;
}

std::vector<Action> Supervision::step(BootTime now, const Input& input) {
    now_ = now;
    std::visit([this](const auto& it) { on(it); }, input);
    if (phase_ == Phase::off && stop_due_ != never) {
        stop_due_ = never;
        actions_.emplace_back(action::Stopped{});
    }
    tell_changed();
    return std::exchange(actions_, {});
}

BootTime Supervision::next() const {
    BootTime next = stop_due_;
    if (phase_ == Phase::waiting || phase_ == Phase::failed) next = std::min(next, next_start_);
    if (phase_ == Phase::stopping || phase_ == Phase::ending) next = std::min(next, kill_at_);
    if (phase_ == Phase::finishing) next = std::min(next, finish_at_);
    if (later_) next = std::min(next, settled_at());
    return next;
}

RunState Supervision::shown() const {
    switch (phase_) {
        case Phase::unknown:
            return status_.reason.empty() ? RunState::off : RunState::failed;
        case Phase::off:
            return RunState::off;
        case Phase::launching:
            return RunState::starting;
        case Phase::up:
            return served_ ? RunState::running : RunState::starting;
        case Phase::finishing:
            return RunState::finishing;
        case Phase::stopping:
            return RunState::stopping;
        case Phase::ending:
            return asked_ || !wanted() ? RunState::stopping : RunState::waiting;
        case Phase::waiting:
        case Phase::elsewhere:
            return RunState::waiting;
        case Phase::failed:
            return RunState::failed;
    }
    return RunState::off;
}

void Supervision::tell_changed() {
    const RunState state = shown();
    const bool lives = state == RunState::starting || state == RunState::running;
    if (state != status_.state && !lives) status_.since = now_;
    status_.state = state;
    status_.next_start.reset();
    if (phase_ == Phase::waiting || phase_ == Phase::failed) status_.next_start = next_start_;
    if (status_ == told_) return;
    told_ = status_;
    actions_.emplace_back(action::Changed{});
}

void Supervision::enter(Phase phase) {
    phase_ = phase;
    if (phase != Phase::up && phase != Phase::finishing) later_.reset();
}

BootTime Supervision::settled_at() const {
    if (status_.adopted) return now_;
    const BootTime unserved = status_.since + settled_unserved;
    return phase_ != Phase::launching && served_ ? std::min(unserved, served_at_ + settled)
                                                 : unserved;
}

void Supervision::ask_settled(Ask what) {
    later_.reset();
    if (now_ >= settled_at()) {
        actions_.emplace_back(action::Request{what});
    } else {
        later_ = what;
    }
}

// --- what is there ---

void Supervision::on(const input::FoundNothing&) {
    if (phase_ != Phase::unknown) return;
    status_.reason.clear();
    finish_at_ = never;
    settle();
}

void Supervision::on(const input::FoundRunning& found) {
    if (phase_ != Phase::unknown) return;
    status_.reason.clear();
    status_.pid = found.pid;
    status_.since = found.since;
    status_.adopted = true;
    served_ = false;
    enter(Phase::up);
    if (finish_at_ != never) {
        begin_finish();
    } else if (!wanted_.value_or(true)) {
        begin_stop("not wanted here");
    }
}

void Supervision::on(const input::FoundOther& found) {
    if (phase_ != Phase::unknown) return;
    status_.pid = found.pid;
    finish_at_ = never;
    begin_stop(found.why);
}

void Supervision::on(const input::Lost& lost) {
    status_.reason = lost.why;
    lost_ = true;
    if (phase_ == Phase::launching) on(input::StartFailed{lost.why});
}

// --- what the agent wishes ---

void Supervision::on(const input::Want& want) {
    if (wanted_ == want.wanted) return;
    wanted_ = want.wanted;
    if (!want.wanted) {
        if (phase_ != Phase::finishing) unwanted();
        return;
    }
    if (phase_ == Phase::unknown) finish_at_ = never;
    if (phase_ == Phase::off) launch();
    if (phase_ != Phase::finishing) return;
    finish_at_ = never;
    if (later_) finish_asked_ = false;
    later_.reset();
    if (finish_asked_ && !settings_.can_resume) return begin_stop("taken back from its drain");
    if (std::exchange(finish_asked_, false)) actions_.emplace_back(action::Request{Ask::resume});
    status_.reason.clear();
    enter(Phase::up);
}

void Supervision::unwanted() {
    switch (phase_) {
        case Phase::launching:
        case Phase::up:
        case Phase::elsewhere:
            return begin_stop("not wanted here");
        case Phase::waiting:
        case Phase::failed:
            return settle();
        default:
            return;
    }
}

void Supervision::on(const input::Finish& finish) {
    wanted_ = false;
    const bool pending = phase_ == Phase::unknown || phase_ == Phase::finishing;
    if (pending || phase_ == Phase::up) finish_at_ = finish.deadline;
    if (phase_ == Phase::up) return begin_finish();
    if (!pending) unwanted();
}

void Supervision::begin_finish() {
    wanted_ = false;
    finish_asked_ = settings_.can_finish;
    status_.reason = "finishes its connections";
    enter(Phase::finishing);
    if (later_ == Ask::reload) finish_reload(fail("it drains, and then ends"));
    if (settings_.can_finish) ask_settled(Ask::finish);
}

void Supervision::on(const input::Stop&) {
    wanted_ = false;
    if (stop_due_ == never) stop_due_ = now_ + settings_.stop_timeout + again;
    finish_at_ = never;
    if (phase_ == Phase::finishing) return begin_stop("stopped");
    unwanted();
}

void Supervision::begin_stop(std::string reason) {
    status_.reason = std::move(reason);
    kill_at_ = now_ + settings_.stop_timeout;
    finish_at_ = never;
    asked_ = true;
    enter(Phase::stopping);
    actions_.emplace_back(action::Request{Ask::stop});
}

// --- starting ---

void Supervision::launch() {
    if (starts_.size() == budget) starts_.erase(starts_.begin());
    starts_.push_back(now_);
    status_.since = now_;
    status_.adopted = false;
    served_ = false;
    enter(Phase::launching);
    actions_.emplace_back(action::Start{});
}

void Supervision::on(const input::Started& started) {
    status_.pid = started.pid;
    const bool was_lost = std::exchange(lost_, false);
    switch (phase_) {
        case Phase::up:
            if (was_lost) status_.reason.clear();
            return;
        case Phase::finishing:
        case Phase::stopping:
        case Phase::unknown:
            return;
        case Phase::launching:
            break;
        case Phase::elsewhere:
            ++status_.restarts;
            [[fallthrough]];
        default:
            status_.since = now_;
            status_.adopted = false;
            served_ = false;
            asked_ = false;
    }
    enter(Phase::up);
    finish_reload({});
    if (!wanted_.value_or(true)) begin_stop("not wanted here");
}

void Supervision::on(const input::StartFailed& failed) {
    status_.pid = 0;
    if (phase_ == Phase::stopping) return settle();
    if (phase_ != Phase::launching) return;
    status_.reason = failed.why;
    ran_ = Duration{};
    finish_reload(fail(failed.why));
    restart();
}

void Supervision::on(const input::Serves&) {
    if (phase_ != Phase::up || served_) return;
    served_ = true;
    served_at_ = now_;
    status_.reason.clear();
}

// --- ending ---

void Supervision::ended(const std::string& how, const std::string& said) {
    const std::string after = status_.adopted ? "" : " after " + in_words(ran_);
    status_.last_exit = how + after + (said.empty() ? "" : ": " + said);
    status_.reason = settings_.name + " " + status_.last_exit;
}

void Supervision::on(const input::Exited& exited) {
    const bool lives = phase_ == Phase::up || phase_ == Phase::launching ||
                       phase_ == Phase::finishing || phase_ == Phase::stopping;
    if (!lives) return;
    ran_ = now_ - status_.since;
    clean_ = exited.clean;
    status_.pid = 0;
    if (phase_ == Phase::stopping) {
        status_.last_exit = exited.how;
    } else {
        asked_ = phase_ == Phase::finishing && finish_asked_ && settings_.ends_when_finished;
        const bool telling = !exited.clean || ran_ < at_once;
        ended(exited.how, telling && !asked_ ? exited.said : "");
        if (asked_) status_.reason = "drained";
        if (!asked_) actions_.emplace_back(action::Crashed{status_.reason});
        kill_at_ = now_ + settings_.stop_timeout;
    }
    finish_at_ = never;
    enter(Phase::ending);
    actions_.emplace_back(action::EndRest{asked_});
}

void Supervision::on(const input::Gone& gone) {
    if (phase_ == Phase::up || phase_ == Phase::launching || phase_ == Phase::finishing) {
        on(input::Exited{gone.how.empty() ? "ended" : gone.how, false, ""});
        std::erase_if(actions_,
                      [](const Action& it) { return std::holds_alternative<action::EndRest>(it); });
    }
    status_.pid = 0;
    if (phase_ == Phase::stopping) return settle();
    if (phase_ == Phase::elsewhere) {
        if (!gone.how.empty()) ended(gone.how, "");
        return restart();
    }
    if (phase_ != Phase::ending) return;
    if (asked_) return settle();
    if (!gone.how.empty()) ended(gone.how, "");
    if (gone.left > 0 && clean_ && ran_ < at_once) {
        status_.reason =
            settings_.name + " went into the background: " + settings_.background_remedy;
        status_.last_exit = "went into the background";
    }
    restart();
}

void Supervision::on(const input::Restarting& restarting) {
    if (phase_ == Phase::up || phase_ == Phase::launching) {
        ran_ = now_ - status_.since;
        ended(restarting.how, "");
        actions_.emplace_back(action::Crashed{status_.reason});
    } else if (phase_ == Phase::ending && !asked_) {
        ended(restarting.how, "");
    } else if (phase_ == Phase::stopping || phase_ == Phase::unknown) {
        return;
    }
    status_.pid = 0;
    enter(Phase::elsewhere);
    if (!wanted_.value_or(true)) begin_stop("not wanted here");
}

/// Nothing runs, and nobody is to blame.
void Supervision::settle() {
    kill_at_ = never;
    finish_asked_ = false;
    asked_ = false;
    status_.pid = 0;
    if (stop_due_ != never && wanted()) {
        stop_due_ = never;
        actions_.emplace_back(action::Stopped{});
    }
    if (wanted()) return launch();
    finish_reload({});
    enter(Phase::off);
}

/// Nothing runs, though it should.
void Supervision::restart() {
    kill_at_ = never;
    asked_ = false;
    if (ran_ >= well) forget_failures();
    if (!wanted()) return settle();
    std::erase_if(starts_, [&](BootTime start) { return now_ - start >= window; });
    if (exhausted_ || starts_.size() >= budget) {
        exhausted_ = true;
        next_start_ = now_ + retry;
        finish_reload(fail(status_.reason));
        return enter(Phase::failed);
    }
    const unsigned doublings = failures_ > 0 ? std::min(failures_ - 1, 16U) : 0;
    const Duration pause =
        failures_ == 0 ? Duration{} : std::min(first_pause * (1U << doublings), longest_pause);
    ++failures_;
    if (pause == Duration{}) {
        ++status_.restarts;
        return launch();
    }
    next_start_ = now_ + pause;
    finish_reload(fail(status_.reason));
    enter(Phase::waiting);
}

void Supervision::forget_failures() {
    failures_ = 0;
    exhausted_ = false;
    starts_.clear();
}

// --- reloading ---

void Supervision::on(const input::Reload&) {
    forget_failures();
    reloading_ = true;
    if (judging_) return;
    if (!settings_.can_judge) return apply_reload();
    judging_ = true;
    actions_.emplace_back(action::Judge{});
}

void Supervision::on(const input::Judged& judged) {
    if (!std::exchange(judging_, false)) return;
    if (!judged.verdict) return finish_reload(judged.verdict);
    apply_reload();
}

void Supervision::apply_reload() {
    switch (phase_) {
        case Phase::waiting:
        case Phase::failed:
            return launch();
        case Phase::launching:
        case Phase::up:
        case Phase::elsewhere:
            if (settings_.can_reload) {
                ask_settled(Ask::reload);
            } else {
                begin_stop("restarted, to read its configuration");
            }
            return;
        default:
            // What is yet to start will read it; what is not wanted has nothing to do.
            if (!wanted()) finish_reload({});
    }
}

void Supervision::finish_reload(Result<> result) {
    if (judging_ || !std::exchange(reloading_, false)) return;
    actions_.emplace_back(action::ReloadDone{std::move(result)});
}

void Supervision::on(const input::Answered& answered) {
    if (answered.what == Ask::reload) return finish_reload(answered.result);
    if (answered.result) return;
    if (answered.what == Ask::finish && phase_ == Phase::finishing) {
        // It goes on as before: whoever counts its connections, or the deadline, ends it.
        finish_asked_ = false;
        status_.reason = "could not be told to finish (" + answered.result.error().message() +
                         "): it is stopped when the drain ends";
    } else if (answered.what == Ask::resume && phase_ == Phase::up) {
        begin_stop("could not be taken back from its drain (" + answered.result.error().message() +
                   "), so it is restarted");
    } else if (answered.what == Ask::stop && phase_ == Phase::stopping) {
        status_.reason = answered.result.error().message();
    }
}

void Supervision::on(const input::Tick&) {
    if (stop_due_ != never && now_ >= stop_due_) {
        stop_due_ = never;
        status_.reason = "does not end, not even when killed";
        actions_.emplace_back(action::Stopped{});
    }
    if (later_ && now_ >= settled_at()) actions_.emplace_back(action::Request{*later_});
    if (now_ >= settled_at()) later_.reset();
    switch (phase_) {
        case Phase::waiting:
        case Phase::failed:
            if (now_ < next_start_) return;
            ++status_.restarts;
            return launch();
        case Phase::stopping:
        case Phase::ending:
            if (now_ < kill_at_) return;
            kill_at_ = now_ + again;
            actions_.emplace_back(action::Kill{});
            return;
        case Phase::finishing:
            if (now_ >= finish_at_) begin_stop("its connections did not finish in time");
            return;
        default:
            return;
    }
}

}  // namespace hamr::router
