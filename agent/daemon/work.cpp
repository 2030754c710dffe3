// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/work.hpp"

#include "agent/control/version.hpp"
#include "agent/daemon/failover_words.hpp"
#include "agent/daemon/local_addresses.hpp"
#include "agent/daemon/log.hpp"
#include "agent/daemon/status_page.hpp"
#include "agent/daemon/warnings.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <future>
#include <utility>

#include <boost/asio/post.hpp>

namespace hamr::daemon {

namespace {

std::string address_key(const std::string& group, const IpAddress& address) {
    return "address " + group + " " + address.to_string();
}

}  // namespace

/// One `hamr failover`: done when every group has been answered.
struct Work::Order {
    std::function<void(control::FailoverAnswer)> done;
    control::FailoverAnswer answer;
    std::map<std::string, std::string> leaders;  ///< before
    BootTime begun;
    std::size_t left = 0;
};

Work::Work(boost::asio::io_context& io, const config::Config& config, WorkOptions options,
           vip::Gate& gate)
    : io_(io),
      config_(config),
      options_(std::move(options)),
      gate_(gate),
      history_(options_.run_directory + "/history.jsonl"),
      signals_(io, SIGTERM, SIGINT),
      settings_(config, options_.run_directory + "/sysctls") {}

Work::~Work() = default;

// From the pulse loop ---------------------------------------------------------------------------

Listener Work::listener() {
    const auto here = [this](auto&& call) {
        boost::asio::post(io_, std::forward<decltype(call)>(call));
    };
    Listener listener;
    listener.transition = [this, here](election::Transition transition) {
        here([this, transition = std::move(transition)] { note(transition); });
    };
    listener.announced = [this, here](std::string group, election::Term term, Duration after) {
        here([this, group = std::move(group), term, after] {
            history_.add_stages(options_.node, group, "announced", to_ms(after));
            spdlog::info("announced group={} term={} after_ms={:.2f}", group, term.value,
                         to_ms(after));
            addresses_well(group);
        });
    };
    listener.report = [this, here](std::string group, vip::Report report) {
        here([this, group = std::move(group), report = std::move(report)] {
            note_report(group, report);
        });
    };
    listener.failover_done = [this, here](std::uint32_t id, election::AskResult result,
                                          election::NodeId target) {
        here([this, id, result, target] { moved(id, result, target); });
    };
    listener.gate_wanted = [this, here](vip::InterfaceIndex index) {
        here([this, index] { guard(index); });
    };
    listener.links_changed = [this, here](vip::Links links) {
        here([this, links = std::move(links)] { apply_settings(links); });
    };
    listener.demoted = [this, here](std::uint32_t demotion, std::string reason) {
        here([demotion, reason = std::move(reason)] {
            spdlog::info("health demotion={} reason=\"{}\"", demotion, reason);
        });
    };
    listener.dropped = [here](election::DropReason reason, Endpoint source, std::uint64_t total) {
        here([reason, source, total] {
            spdlog::warn("frame dropped reason={} from={} total={}", election::to_string(reason),
                         source.to_string(), total);
        });
    };
    listener.stopped = [this, here] { here([this] { io_.stop(); }); };
    return listener;
}

void Work::note(const election::Transition& transition) {
    control::HistoryEntry entry;
    entry.time = wall_time(transition.at);
    entry.node = node_name(config_, transition.node);
    entry.group = group_name(config_, transition.group);
    entry.from = transition.from;
    entry.to = transition.to;
    entry.reason = transition.reason;
    entry.term = transition.term.value;
    spdlog::info("transition group={} node={} from={} to={} term={} reason=\"{}\"", entry.group,
                 entry.node, entry.from, entry.to, entry.term, entry.reason);
    if (transition.node == election::node_id(options_.node)) {
        states_[entry.group] = entry.to;
        if (entry.to != "leader") addresses_well(entry.group);
    }
    history_.add(std::move(entry));
    trouble("history", history_.failure(), "make room or fix the permissions of the directory");
}

void Work::note_report(const std::string& group, const vip::Report& report) {
    spdlog::warn("address group={} notice=\"{}\" {}", group, vip::to_string(report.notice),
                 report.text);
    const std::string key = address_key(group, report.address);
    switch (report.notice) {
        case vip::Notice::waiting:
        case vip::Notice::carrier_lost:
        case vip::Notice::left_deleted:
        case vip::Notice::request_failed:
        case vip::Notice::foreign_claim:
            trouble(key, report.text, std::string(remedy(report.notice)));
            break;
        case vip::Notice::ready:
        case vip::Notice::carrier_back:
        case vip::Notice::claim_over:
            trouble(key, {}, {});
            break;
        case vip::Notice::leftover_removed:
        case vip::Notice::foreign_added:
        case vip::Notice::deleted:
        case vip::Notice::put_back_delayed:
        case vip::Notice::mac_changed:
            break;
    }
    const auto state = states_.find(group);
    if (report.notice == vip::Notice::waiting || report.notice == vip::Notice::ready) return;
    control::HistoryEntry entry;
    entry.time = wall_time(BootClock::now());
    entry.node = options_.node;
    entry.group = group;
    entry.from = entry.to = state != states_.end() ? state->second : "starting";
    entry.reason = report.text;
    history_.add(std::move(entry));
}

control::WallTime Work::wall_time(BootTime at) const {
    using std::chrono::milliseconds;
    const BootTime before = BootClock::now();
    const Duration offset =
        std::chrono::system_clock::now().time_since_epoch() - before.time_since_epoch();
    const bool exact = BootClock::now() - before < milliseconds{1};
    // The offset is kept until somebody sets the clock, so that what happens in order is shown in
    // order: no two looks at two clocks give quite the same.
    const bool set = exact && std::chrono::abs(offset - wall_offset_) > milliseconds{5};
    if (wall_offset_ == Duration::zero() || set) wall_offset_ = offset;
    return control::WallTime{
        std::chrono::floor<milliseconds>(at.time_since_epoch() + wall_offset_)};
}

void Work::addresses_well(const std::string& group) {
    for (const config::Group& candidate : config_.groups) {
        if (candidate.name != group) continue;
        for (const IpPrefix& prefix : candidate.addresses) {
            trouble(address_key(group, prefix.address), {}, {});
        }
    }
}

void Work::guard(vip::InterfaceIndex index) {
    if (stopping_) return;
    const auto standing = gate_.attached(index);
    bool attached = standing && *standing;
    if (!attached) {
        const auto result = gate_.attach(index);
        attached = result.has_value();
        if (!attached) {
            spdlog::error("gate interface={} error=\"{}\"", index.value, result.error().message());
        } else {
            spdlog::info("gate interface={} attached", index.value);
        }
    }
    boost::asio::post(pulse_->io(), [this, index, attached] { pulse_->gated(index, attached); });
}

bool Work::is_router() const {
    return config_.find_node(options_.node)->role == config::NodeRole::router;
}

void Work::apply_settings(const vip::Links& links) {
    if (stopping_ || !is_router() || !settings_.links_changed(links)) return;
    const auto applied = settings_.apply();
    const std::string failure = applied ? std::string() : applied.error().message();
    trouble("settings", failure, "hamrd must be able to write below /proc/sys/net");
    if (router_) router_->settings_changed(failure);
}

void Work::trouble(const std::string& key, const std::string& what, const std::string& remedy) {
    const auto known = troubles_.find(key);
    if (what.empty()) {
        if (known == troubles_.end()) return;
        spdlog::info("over: {}", known->second.what);
        troubles_.erase(known);
        return;
    }
    if (known != troubles_.end() && known->second.what == what) return;
    spdlog::warn("trouble: {}", what);
    troubles_[key] = {what, remedy};
}

// Life --------------------------------------------------------------------------------------------

Result<> Work::start(const std::string& monitor_password) {
    control::ServerOptions server;
    server.path = options_.socket;
    server_ = std::make_unique<control::Server>(io_, *this, server);
    if (const auto started = server_->start(); !started) return started;
    // What a crash left: its originals are the host's, so they come back before ours are made.
    if (const auto restored = settings_.restore(); !restored) return restored;
    if (config_.router.kind == config::RouterKind::embedded && is_router()) {
        RouterService::Events events;
        events.health = [this](health::Source source) {
            boost::asio::post(pulse_->io(),
                              [this, source = std::move(source)] { pulse_->set_health(source); });
        };
        events.backend_changed = [](const router::Change& change) {
            spdlog::info("backend address={} from=\"{}\" to=\"{}\" reason=\"{}\"",
                         change.backend.to_string(), change.from, change.to, change.reason);
        };
        events.trouble = [this](const std::string& what) {
            trouble("router", what, "install nftables, or load the kernel modules that are named");
        };
        router_ = std::make_unique<RouterService>(io_, config_, monitor_password, settings_,
                                                  std::move(events));
        if (const auto started = router_->start(); !started) return started;
    }
    wait_for_signals();
    return {};
}

void Work::wait_for_signals() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
        if (error) return;
        spdlog::info("stopping signal={}", signal);
        stop();
    });
}

void Work::stop() {
    stopping_ = true;
    boost::asio::post(pulse_->io(), [this] { pulse_->stop(); });
}

void Work::run() {
    auto guard = boost::asio::make_work_guard(io_);
    io_.run();
}

void Work::clean_up() {
    if (server_) server_->stop();
    if (router_) router_->stop();
    if (const auto restored = settings_.restore(); !restored) {
        spdlog::error("settings not restored error=\"{}\"", restored.error().message());
    }
}

// Status ------------------------------------------------------------------------------------------

std::optional<PulseStatus> Work::ask_pulse() {
    auto promise = std::make_shared<std::promise<PulseStatus>>();
    auto future = promise->get_future();
    boost::asio::post(pulse_->io(), [this, promise] { promise->set_value(pulse_->status()); });
    if (future.wait_for(std::chrono::seconds{1}) != std::future_status::ready) return std::nullopt;
    return future.get();
}

control::Status Work::status() {
    control::Status status;
    status.cluster = config_.cluster;
    status.node = options_.node;
    status.version = std::string(control::version());
    status.quorum = std::string(config::to_string(config_.effective_mode()));
    status.warnings = options_.warnings;
    status.router.kind = std::string(config_.router.kind_name());
    status.router.state = control::RouterState::off;
    for (const auto& [key, warning] : troubles_) status.warnings.push_back(warning);
    for (const control::Warning& warning :
         absent_addresses(*config_.find_node(options_.node), local_addresses())) {
        status.warnings.push_back(warning);
    }
    if (router_) show_router(*router_, status);
    if (const auto pulse = ask_pulse()) {
        show_pulse(config_, *pulse, status);
    } else {
        status.warnings.push_back({"the heartbeat loop of this agent has not answered for 1 s",
                                   "the machine is overloaded or the agent hangs: restart hamrd"});
    }
    return status;
}

std::vector<control::HistoryEntry> Work::history() {
    return history_.all();
}

// hamr failover -----------------------------------------------------------------------------------

void Work::failover(control::FailoverRequest request,
                    std::function<void(control::FailoverAnswer)> done) {
    auto order = std::make_shared<Order>();
    order->done = std::move(done);
    order->begun = BootClock::now();
    for (const control::GroupStatus& group : status().groups) {
        if (!request.group || *request.group == group.name) {
            order->leaders[group.name] = group.leader.value_or("");
        }
    }
    order->left = order->leaders.size();
    if (order->left == 0) {
        order->done({control::Outcome::unknown, "no such group", "see `hamr status`", {}});
        return;
    }
    const election::NodeId target = request.to ? election::node_id(*request.to) : election::no_node;
    for (const auto& [group, leader] : order->leaders) {
        boost::asio::post(
            pulse_->io(), [this, order, group = group, target, force = request.force] {
                const std::uint32_t id =
                    pulse_->request_failover(election::group_id(group), target, force);
                boost::asio::post(io_, [this, order, group, id] { pending_[id] = {order, group}; });
            });
    }
}

void Work::moved(std::uint32_t id, election::AskResult result, election::NodeId target) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    const Pending pending = found->second;
    pending_.erase(found);
    finish(pending.order, pending.group, result, node_name(config_, target));
}

void Work::finish(const std::shared_ptr<Order>& order, std::string group,
                  election::AskResult result, const std::string& target) {
    control::FailoverAnswer answer = explain(result, group, target);
    if (answer.outcome == control::Outcome::done) {
        const bool moved = result == election::AskResult::accepted;
        const double ms = moved ? to_ms(BootClock::now() - order->begun) : 0;
        order->answer.moves.push_back({group, order->leaders[group], target, ms});
    } else if (order->answer.outcome == control::Outcome::done) {
        order->answer.outcome = answer.outcome;
        order->answer.message = answer.message;
        order->answer.remedy = answer.remedy;
    }
    if (--order->left > 0) return;
    if (order->answer.outcome == control::Outcome::done) {
        order->answer.message = answer.message;
    } else {
        for (const control::Move& move : order->answer.moves) {
            order->answer.message += "; group " + move.group + ": " + move.to + " leads";
        }
    }
    order->done(order->answer);
}

}  // namespace hamr::daemon
