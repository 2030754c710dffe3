// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/drainer.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include <unistd.h>

namespace hamr::daemon {

namespace {

constexpr Duration look_period = std::chrono::milliseconds{200};
/// How long `hamr drain` waits for leadership to move before it says that it has not.
constexpr Duration longest_move = std::chrono::seconds{3};
constexpr const char* stays =
    "no other node that is as healthy can lead now, so this one goes on; it hands over as soon as "
    "one can";

}  // namespace

Drainer::Drainer(boost::asio::io_context& io, std::string file, Duration timeout, Hands hands)
    : timer_(io), file_(std::move(file)), timeout_(timeout), hands_(std::move(hands)) {}

bool Drainer::recorded(const std::string& file) {
    return ::access(file.c_str(), F_OK) == 0;
}

void Drainer::start(bool recorded) {
    if (!recorded) return;
    state_ = State::drained;
    hands_.log("this node is drained since before this start");
    look_later();
}

void Drainer::stop() {
    timer_.cancel();
    answer({control::Outcome::failed, "the agent stops", ""});
}

// The file ----------------------------------------------------------------------------------------

void Drainer::record() {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(file_).parent_path(), ignored);
    std::ofstream out(file_, std::ios::trunc);
    out << "drained by `hamr drain`; `hamr undrain` removes this file\n";
    out.close();
    hands_.trouble(out ? ""
                       : "that this node is drained will not survive a restart: " + file_ + ": " +
                             std::strerror(errno));
}

void Drainer::forget() {
    const bool gone = ::unlink(file_.c_str()) == 0 || errno == ENOENT;
    hands_.trouble(gone ? ""
                        : "this node will be drained again after a restart: " + file_ + ": " +
                              std::strerror(errno));
}

// Steps -------------------------------------------------------------------------------------------

void Drainer::drain(Duration timeout, std::function<void(control::Answer)> done) {
    if (state_ == State::drained && !leads_) {
        done({control::Outcome::done, "this node is drained already", ""});
        return;
    }
    answer({control::Outcome::refused, "another `hamr drain` has taken over", "see `hamr status`"});
    allowed_ = timeout;
    record();
    done_ = std::move(done);
    if (state_ == State::finishing) {
        enter_finishing();  // only the limit is new
        return;
    }
    state_ = State::moving;
    note_.clear();
    answer_by_ = BootClock::now() + longest_move;
    hands_.log("drain begins");
    hands_.tell(true);
    if (!leads_) {
        enter_finishing();
    } else {
        look_later();
    }
}

void Drainer::undrain(std::function<void(control::Answer)> done) {
    answer({control::Outcome::refused, "`hamr undrain` has ended the drain", ""});
    const bool was = active();
    forget();
    state_ = State::none;
    deadline_ = never;
    connections_ = 0;
    note_.clear();
    timer_.cancel();
    hands_.tell(false);
    if (was) {
        hands_.log("drain ends");
        hands_.resume();
    }
    done({control::Outcome::done, was ? "this node takes part again" : "this node was not drained",
          ""});
}

void Drainer::leads(bool any) {
    const bool before = std::exchange(leads_, any);
    if (!active() || before == any) return;
    if (!any && state_ == State::moving) {
        enter_finishing();
    } else if (any) {
        // Nobody else could: service comes first.
        state_ = State::moving;
        note_ = stays;
        hands_.resume();
        look_later();
    }
}

void Drainer::enter_finishing() {
    state_ = State::finishing;
    note_.clear();
    deadline_ = BootClock::now() + allowed_;
    connections_ = hands_.connections();
    hands_.finish(deadline_);
    hands_.log("drain: " + std::to_string(connections_) + " connections to finish");
    answer({control::Outcome::done, "this node leads nothing now; its router finishes", ""});
    look_later();
}

void Drainer::look_later() {
    timer_.expires_after(look_period);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) look();
    });
}

void Drainer::look() {
    const BootTime now = BootClock::now();
    switch (state_) {
        case State::none:
        case State::drained:
            return;
        case State::moving:
            if (now >= answer_by_) {
                note_ = stays;
                answer({control::Outcome::refused, stays,
                        "wait for another node, move it anyway with `hamr failover --force`, or "
                        "take the drain back with `hamr undrain`"});
            }
            break;
        case State::finishing:
            connections_ = hands_.connections();
            if (!hands_.finished() && now < deadline_) break;
            if (connections_ > 0) {
                note_ = std::to_string(connections_) + " connections did not finish in time";
            }
            state_ = State::drained;
            deadline_ = never;
            hands_.log("drained" + (note_.empty() ? "" : ": " + note_));
            return;
    }
    look_later();
}

void Drainer::answer(control::Answer answer) {
    answer_by_ = never;
    if (const auto done = std::exchange(done_, nullptr)) done(std::move(answer));
}

control::DrainStatus Drainer::status() const {
    control::DrainStatus status;
    status.state = state_;
    status.connections = connections_;
    status.note = note_;
    if (state_ == State::finishing) status.left_ms = to_ms(deadline_ - BootClock::now());
    return status;
}

}  // namespace hamr::daemon
