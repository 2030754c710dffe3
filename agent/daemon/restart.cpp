// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/restart.hpp"

#include "agent/daemon/files.hpp"
#include "agent/daemon/members_note.hpp"
#include "agent/daemon/service_manager.hpp"
#include "agent/daemon/translate.hpp"
#include "router/io/run_command.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include <spdlog/spdlog.h>

namespace hamr::daemon {

namespace {

constexpr Duration rehearsal_timeout = std::chrono::seconds{10};
constexpr Duration margin = std::chrono::milliseconds{5};
/// The answer leaves before the program does.
constexpr Duration answer_time = std::chrono::milliseconds{100};

constexpr const char* restart_remedy =
    "nothing has moved; `systemctl restart hamrd` hands over and starts anew";

std::string milliseconds(Duration time) {
    return fmt::format("{:.1f} ms", to_ms(time));
}

/// Other routers that could take over.
bool alone(const control::Status& status) {
    return std::none_of(
        status.nodes.begin(), status.nodes.end(), [&](const control::NodeStatus& node) {
            return node.name != status.node && node.role == control::NodeRole::router &&
                   node.state == control::NodeState::alive;
        });
}

std::vector<std::string> led_groups(const control::Status& status) {
    std::vector<std::string> groups;
    for (const control::GroupStatus& group : status.groups) {
        if (group.leader == status.node) groups.push_back(group.name);
    }
    return groups;
}

}  // namespace

Duration restart_needs(Duration took) {
    return took * 3 / 2 + margin;
}

bool fits(const RestartTimes& times) {
    return restart_needs(times.took) < times.usable - times.interval;
}

Restarter::Restarter(boost::asio::io_context& io, const Inputs& inputs, CommandLine command,
                     Hands hands)
    : io_(io),
      inputs_(inputs),
      command_(std::move(command)),
      hands_(std::move(hands)),
      timer_(io) {}

bool Restarter::begin(const char* what, Done& done) {
    if (done_) {
        done({control::Outcome::refused, "a restart is under way already", "wait for it"});
        return false;
    }
    done_ = std::move(done);
    what_ = what;
    step_.reset();
    auto program = next_program();
    if (!program) {
        refuse(program.error().message(), "install the package again");
        return false;
    }
    program_ = std::move(*program);
    return true;
}

void Restarter::restart(Done done) {
    if (!begin("restart", done)) return;
    control::Answer refusal;
    const auto next = read(refusal);
    if (!next) return refuse(next.error().message(), restart_remedy);
    const std::string other = restart_difference(inputs_, *next);
    if (!other.empty()) {
        return refuse("a restart in place does not change this: " + other,
                      "nothing has moved; `hamr reload` takes it over");
    }
    rehearse();
}

void Restarter::reload(bool force, Done done, std::function<void(Done)> unchanged) {
    if (!begin("reload", done)) return;
    control::Answer refusal;
    auto next = read(refusal);
    if (!next) return refuse(refusal);
    Step step = step_to(std::move(*next), force);
    if (step.words.empty()) return unchanged(std::exchange(done_, nullptr));
    if (const auto against = judge(step)) return refuse(*against);
    step_ = std::move(step);
    rehearse();
}

void Restarter::refuse(const control::Answer& answer) {
    spdlog::warn("{} refused reason=\"{}\"", what_, answer.message);
    std::exchange(done_, nullptr)(answer);
}

void Restarter::refuse(const std::string& why, const std::string& remedy) {
    refuse({control::Outcome::refused, why, remedy});
}

void Restarter::rehearse() {
    const auto absolute = [](const std::string& path) {
        return std::filesystem::absolute(path).string();
    };
    const Options& options = command_.options;
    const std::string now = std::to_string(BootClock::now().time_since_epoch().count());
    std::vector<std::string> argv = {program_,
                                     "--rehearse",
                                     now,
                                     "--config",
                                     absolute(options.config),
                                     "--socket",
                                     absolute(options.socket),
                                     "--state",
                                     absolute(options.state)};
    if (options.node) {
        argv.emplace_back("--node");
        argv.push_back(*options.node);
    }
    if (step_ && step_->other_addresses) argv.emplace_back("--new-gate");
    router_io::run_command(io_.get_executor(), argv, "", rehearsal_timeout,
                           [this](const Result<std::string>& said) {
                               if (!said) return refuse(said.error().message(), restart_remedy);
                               const auto rehearsal = parse_rehearsal(*said);
                               if (rehearsal && step_) return reload_rehearsed(*rehearsal);
                               if (rehearsal) return rehearsed(*rehearsal);
                               refuse(rehearsal.error().message(), restart_remedy);
                           });
}

void Restarter::rehearsed(const Rehearsal& rehearsal) {
    const election::Timing timing{inputs_.config.heartbeat.interval,
                                  inputs_.config.heartbeat.misses};
    const RestartTimes times{rehearsal.took, election::usable(timing.lease()), timing.interval};
    same_life_ = rehearsal.fits;
    spdlog::info("restart rehearsed_ms={:.2f} lease_ms={:.2f} same_life={}", to_ms(rehearsal.took),
                 to_ms(times.usable), same_life_);
    const control::Status status = hands_.status();
    std::vector<std::string> groups = led_groups(status);
    if (groups.empty()) {
        go(Duration::zero(), "restarting in place; this node does not lead");
    } else if (step_ && step_->other_mode && !(same_life_ && fits(times))) {
        // Whoever takes over may have the other mode already; then no order can name it.
        go(Duration::zero(), "restarting in place; its lease is released first");
    } else if (same_life_ && fits(times)) {
        go(restart_needs(rehearsal.took), "restarting in place, which takes about " +
                                              milliseconds(rehearsal.took) + "; the lease lasts " +
                                              milliseconds(times.usable));
    } else if (alone(status)) {
        // Nobody could take over: with a hand-over or without, the address is gone for as long.
        go(Duration::zero(),
           "restarting in place; no other router is alive, so the address does "
           "not answer for a moment");
    } else {
        hand_over(std::move(groups));
    }
}

void Restarter::hand_over(std::vector<std::string> groups) {
    if (groups.empty()) {
        return go(Duration::zero(), "leadership has been handed over; restarting in place");
    }
    control::FailoverRequest request;
    request.group = groups.back();
    groups.pop_back();
    hands_.failover(
        request, [this, groups = std::move(groups)](const control::FailoverAnswer& answer) mutable {
            if (!done_) return;
            if (answer.outcome == control::Outcome::done) return hand_over(std::move(groups));
            refuse("the restart takes longer than the lease, and nobody can take over meanwhile: " +
                       answer.message,
                   answer.remedy);
        });
}

void Restarter::go(Duration needs, const std::string& message) {
    std::string what;
    for (const std::string& word : step_ ? step_->words : std::vector<std::string>{}) {
        what += word + "; ";
    }
    hands_.log(what + message);
    done_({control::Outcome::done, what + message, "", true});
    timer_.expires_after(answer_time);
    timer_.async_wait([this, needs](const boost::system::error_code& error) {
        if (error) return;
        Departure departure;
        departure.needs = needs;
        departure.leave = [this](Life& life) {
            life.lock = command_.lock;
            life.reload_router = step_.has_value();
            return execute(program_, command_.arguments, same_life_ ? &life : nullptr);
        };
        departure.failed = [this](const Error& failed) {
            done_ = nullptr;
            note_voters_again();
            hands_.log("not restarted: " + failed.message());
        };
        if (step_ && !step_->force) departure.next = settings_of(step_->next);
        if (step_ && step_->other_mode && needs == Duration::zero()) {
            departure.let_go = "quorum is " +
                               std::string(to_string(settings_of(step_->next).mode)) +
                               " from now on";
        }
        ServiceManager::restarting();
        hands_.leave(std::move(departure));
    });
}

void Restarter::reload_rehearsed(const Rehearsal& rehearsal) {
    if (!rehearsal.fits) {
        return refuse("the program on this host has been replaced by another version",
                      "`hamr restart` first, then `hamr reload`");
    }
    if (step_->other_voters) {
        if (const auto forgotten = forget_voters(); !forgotten) {
            return refuse(forgotten.error().message(),
                          "the nodes are noted there; make the directory writable");
        }
    }
    std::vector<std::string> gone;
    for (const std::string& group : led_groups(hands_.status())) {
        const auto& list = step_->gone;
        if (std::find(list.begin(), list.end(), group) != list.end()) gone.push_back(group);
    }
    let_gone_groups_go(std::move(gone), [this, rehearsal] { rehearsed(rehearsal); });
}

void Restarter::let_gone_groups_go(std::vector<std::string> groups, std::function<void()> then) {
    if (groups.empty()) return then();
    control::FailoverRequest request;
    request.group = groups.back();
    groups.pop_back();
    // Nobody to take it is no reason to keep it: others may have left it out already.
    hands_.failover(request, [this, groups = std::move(groups),
                              then = std::move(then)](const control::FailoverAnswer&) mutable {
        if (done_) let_gone_groups_go(std::move(groups), std::move(then));
    });
}

Result<> Restarter::forget_voters() {
    const auto gone = forget_members(
        members_file(command_.options.state, inputs_.config.cluster, inputs_.node().name));
    forgotten_ = gone.has_value();
    return gone;
}

// They have counted all the time.
void Restarter::note_voters_again() {
    if (!std::exchange(forgotten_, false)) return;
    (void)note_members(
        members_file(command_.options.state, inputs_.config.cluster, inputs_.node().name),
        node_names(inputs_.config));
}

}  // namespace hamr::daemon
