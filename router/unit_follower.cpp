// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/unit_follower.hpp"

#include <utility>

namespace hamr::router {

namespace {

bool is_auto_restart(const UnitReading& reading) {
    return reading.active == "activating" && reading.sub.starts_with("auto-restart");
}

/// Its process is there, serving or about to.
bool is_running(const UnitReading& reading) {
    if (reading.active == "active" || reading.active == "reloading") return true;
    if (reading.active == "refreshing" || reading.active == "deactivating") return true;
    return reading.active == "activating" && reading.main_pid > 0 && !is_auto_restart(reading);
}

bool is_down(const UnitReading& reading) {
    return reading.active == "inactive" || reading.active == "failed";
}

}  // namespace

std::string load_problem(const std::string& unit, std::string_view load_state) {
    if (load_state == "not-found") return "there is no unit " + unit + " on this host";
    if (load_state == "masked") {
        return unit + " is masked: systemctl unmask " + unit;
    }
    if (load_state == "bad-setting" || load_state == "error") {
        return "the file of " + unit + " is wrong: systemctl status " + unit;
    }
    return "";
}

UnitFollower::UnitFollower(std::string unit) : unit_(std::move(unit)) {}

std::vector<Input> UnitFollower::observe(const UnitReading& reading) {
    if (!found_) return first(reading);
    std::vector<Input> out;
    if (up_) {
        while_up(reading, out);
    } else {
        while_down(reading, out);
    }
    if (is_down(reading)) {
        if (std::exchange(stopping_, false) && out.empty()) out.emplace_back(input::Gone{});
        pid_ = 0;
    }
    return out;
}

std::vector<Input> UnitFollower::first(const UnitReading& reading) {
    found_ = true;
    lost_ = false;
    up_ = is_running(reading) || (reading.active == "activating" && !is_auto_restart(reading));
    if (!up_) return {input::FoundNothing{}};
    pid_ = reading.main_pid;
    return {input::FoundRunning{pid_, reading.main_since}};
}

void UnitFollower::while_up(const UnitReading& reading, std::vector<Input>& out) {
    const bool was_lost = std::exchange(lost_, false);
    if (is_auto_restart(reading)) {
        up_ = ended_ = false;
        elsewhere_ = true;
        pid_ = 0;
        out.emplace_back(input::Restarting{words(reading)});
        return;
    }
    if (is_down(reading)) {
        const bool clean = reading.result == "success";
        if (!std::exchange(ended_, false)) {
            out.emplace_back(input::Exited{words(reading), clean, ""});
        }
        out.emplace_back(input::Gone{0, words(reading)});
        up_ = false;
        return;
    }
    const bool other = reading.main_pid > 0 && reading.main_pid != pid_;
    if (!other && !was_lost) return;
    if (other) {
        pid_ = reading.main_pid;
        ended_ = false;
    }
    out.emplace_back(input::Started{pid_});
}

void UnitFollower::while_down(const UnitReading& reading, std::vector<Input>& out) {
    lost_ = false;
    const bool over = std::exchange(job_over_, false);
    if (is_running(reading) && reading.active != "deactivating") {
        launching_ = elsewhere_ = false;
        up_ = true;
        pid_ = reading.main_pid;
        out.emplace_back(input::Started{pid_});
    } else if (is_auto_restart(reading)) {
        if (!std::exchange(elsewhere_, true)) {
            out.emplace_back(input::Restarting{words(reading)});
        }
        launching_ = false;
    } else if (launching_ && over && is_down(reading)) {
        launching_ = false;
        out.emplace_back(input::StartFailed{start_words(reading)});
    } else if (elsewhere_ && is_down(reading)) {
        elsewhere_ = false;
        out.emplace_back(input::Gone{0, words(reading)});
    } else {
        job_over_ = over;
    }
}

std::vector<Input> UnitFollower::main_ended() {
    if (!up_ || ended_) return {};
    ended_ = true;
    return {input::Exited{"ended", false, ""}};
}

std::vector<Input> UnitFollower::lost(const std::string& why) {
    if (std::exchange(lost_, true)) return {};
    launching_ = false;
    return {input::Lost{why}};
}

void UnitFollower::start_asked() {
    launching_ = true;
    elsewhere_ = stopping_ = job_over_ = false;
}

void UnitFollower::stop_asked() {
    stopping_ = true;
}

void UnitFollower::job_ended(std::string_view result) {
    job_over_ = true;
    job_result_ = result;
}

std::vector<Input> UnitFollower::start_refused(const std::string& why) {
    if (!std::exchange(launching_, false)) return {};
    return {input::StartFailed{why}};
}

std::string UnitFollower::words(const UnitReading& reading) const {
    const std::string& result = reading.result;
    if (result == "oom-kill") return "was killed for lack of memory (oom-kill)";
    if (result == "watchdog") return "was killed by systemd's watchdog";
    if (result == "timeout") return "did not start or stop in time, says systemd";
    if (result == "start-limit-hit") return "failed too often for systemd (start-limit-hit)";
    if (result == "success" && reading.active != "failed") {
        return stopping_ ? "was stopped" : "was stopped by somebody else, or ended by itself";
    }
    if (!reading.main_end.empty()) return reading.main_end;
    return result.empty() ? "ended" : "failed (" + result + ")";
}

std::string UnitFollower::start_words(const UnitReading& reading) const {
    const std::string problem = load_problem(unit_, reading.load);
    if (!problem.empty()) return problem;
    std::string text = unit_ + " did not start";
    if (!job_result_.empty() && job_result_ != "done") text += " (" + job_result_ + ")";
    if (reading.active == "failed") text += ": it " + words(reading);
    return text + "; see: journalctl -u " + unit_;
}

}  // namespace hamr::router
