// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/restart.hpp"

#include "agent/daemon/service_manager.hpp"
#include "agent/daemon/translate.hpp"
#include "election/snapshot.hpp"
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

std::vector<std::string> all_addresses(const config::Config& config) {
    std::vector<std::string> list;
    for (const config::Group& group : config.groups) {
        for (const IpPrefix& prefix : group.addresses) list.push_back(prefix.to_string());
        list.emplace_back();
    }
    return list;
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

std::string restart_difference(const Inputs& now, const Inputs& next) {
    std::string other =
        election::difference(pulse_config(now.config, now.self, now.keys).settings,
                             pulse_config(next.config, next.self, next.keys).settings);
    if (!other.empty()) return other;
    if (all_addresses(now.config) != all_addresses(next.config)) {
        return "the addresses of a group are others now";
    }
    if (now.config.router.kind_name() != next.config.router.kind_name()) {
        return "the router is of another kind now";
    }
    return {};
}

Restarter::Restarter(boost::asio::io_context& io, const Inputs& inputs, CommandLine command,
                     Hands hands)
    : io_(io),
      inputs_(inputs),
      command_(std::move(command)),
      hands_(std::move(hands)),
      timer_(io) {}

void Restarter::restart(std::function<void(control::Answer)> done) {
    if (done_) {
        done({control::Outcome::refused, "a restart is under way already", "wait for it"});
        return;
    }
    done_ = std::move(done);
    auto program = next_program();
    if (!program) return refuse(program.error().message(), "install the package again");
    program_ = std::move(*program);
    if (const auto judged = judge(); !judged) {
        return refuse(judged.error().message(), restart_remedy);
    }
    rehearse();
}

void Restarter::refuse(const std::string& why, const std::string& remedy) {
    spdlog::warn("restart refused reason=\"{}\"", why);
    std::exchange(done_, nullptr)({control::Outcome::refused, why, remedy});
}

Result<> Restarter::judge() const {
    try {
        const auto next = read_inputs(command_.options);
        if (!next) return tl::unexpected(next.error());
        const std::string other = restart_difference(inputs_, *next);
        if (!other.empty()) return fail("a restart in place cannot change this: " + other);
        return {};
    } catch (const std::exception& error) {
        return fail(error.what());
    }
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
    router_io::run_command(io_.get_executor(), argv, "", rehearsal_timeout,
                           [this](const Result<std::string>& said) {
                               if (!said) return refuse(said.error().message(), restart_remedy);
                               const auto rehearsal = parse_rehearsal(*said);
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
    hands_.log(message);
    done_({control::Outcome::done, message, ""});
    timer_.expires_after(answer_time);
    timer_.async_wait([this, needs](const boost::system::error_code& error) {
        if (error) return;
        const auto leave = [this](Life& life) {
            life.lock = command_.lock;
            return execute(program_, command_.arguments, same_life_ ? &life : nullptr);
        };
        ServiceManager::restarting();
        hands_.leave(needs, leave, [this](const Error& failed) {
            done_ = nullptr;
            hands_.log("not restarted: " + failed.message());
        });
    });
}

}  // namespace hamr::daemon
