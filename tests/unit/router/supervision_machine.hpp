// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/supervision.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <variant>
#include <vector>

// The supervision machine by hand: inputs at a time that the test moves, actions as letters.

namespace hamr::router::testing {

using namespace std::chrono_literals;

/// S start, J judge, Q request (s stop, f finish, r reload, u resume), K kill, E end the rest (p
/// politely), C crashed, R reload done (+ or -), D stopped. What changed is seen in the status.
inline std::string letters(const std::vector<Action>& actions) {
    struct Letter {
        std::string operator()(const action::Start&) const { return "S"; }
        std::string operator()(const action::Judge&) const { return "J"; }
        std::string operator()(const action::Request& it) const {
            switch (it.what) {
                case Ask::stop:
                    return "Qs";
                case Ask::finish:
                    return "Qf";
                case Ask::reload:
                    return "Qr";
                case Ask::resume:
                    return "Qu";
            }
            return "?";
        }
        std::string operator()(const action::Kill&) const { return "K"; }
        std::string operator()(const action::EndRest& it) const { return it.polite ? "Ep" : "E"; }
        std::string operator()(const action::Crashed&) const { return "C"; }
        std::string operator()(const action::Changed&) const { return ""; }
        std::string operator()(const action::ReloadDone& it) const {
            return it.result ? "R+" : "R-";
        }
        std::string operator()(const action::Stopped&) const { return "D"; }
    };
    std::string text;
    for (const Action& it : actions) text += std::visit(Letter{}, it);
    return text;
}

struct Machine {
    explicit Machine(SupervisionSettings settings = defaults()) : machine(std::move(settings)) {}

    static SupervisionSettings defaults() {
        SupervisionSettings settings;
        settings.name = "router";
        settings.stop_timeout = 10s;
        settings.can_judge = settings.can_reload = settings.can_finish = true;
        settings.ends_when_finished = true;
        return settings;
    }

    std::string operator()(const Input& input) {
        newest = machine.step(now, input);
        return letters(newest);
    }
    /// Time passes; the machine is woken whenever it asked to be.
    std::string pass(Duration duration) {
        std::string text;
        const BootTime end = now + duration;
        for (int i = 0; i < 1000 && machine.next() <= end; ++i) {
            now = std::max(now, machine.next());
            text += (*this)(input::Tick{});
        }
        now = end;
        return text + (*this)(input::Tick{});
    }
    /// From nothing to a process that has just been started.
    void start() {
        (*this)(input::FoundNothing{});
        (*this)(input::Want{true});
        (*this)(input::Started{100});
    }
    /// The running one ends by itself and leaves nothing.
    std::string crash() {
        std::string text = (*this)(input::Exited{"exited with code 1", false, "Error: port"});
        return text + (*this)(input::Gone{});
    }
    [[nodiscard]] const SupervisorStatus& status() const { return machine.status(); }
    [[nodiscard]] RunState state() const { return status().state; }

    Supervision machine;
    std::vector<Action> newest;
    BootTime now{1000s};
};

}  // namespace hamr::router::testing
