// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/work.hpp"

#include "agent/control/version.hpp"
#include "agent/daemon/default_checks.hpp"
#include "agent/daemon/local_addresses.hpp"
#include "agent/daemon/log.hpp"
#include "agent/daemon/status_page.hpp"
#include "agent/daemon/warnings.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <future>
#include <utility>

#include <boost/asio/post.hpp>
#include <net/if.h>

namespace hamr::daemon {

namespace {

std::string address_key(const std::string& group, const IpAddress& address) {
    return "address " + group + " " + address.to_string();
}

std::string interface_name(vip::InterfaceIndex index) {
    std::array<char, IF_NAMESIZE> name{};
    const char* found = ::if_indextoname(static_cast<unsigned>(index.value), name.data());
    return found != nullptr ? found : "interface " + std::to_string(index.value);
}

}  // namespace

Work::Work(boost::asio::io_context& io, const Inputs& inputs, WorkOptions options, vip::Gate& gate)
    : io_(io),
      inputs_(inputs),
      config_(inputs.config),
      node_(inputs.node().name),
      options_(std::move(options)),
      gate_(gate),
      history_(options_.files.history),
      signals_(io, SIGTERM, SIGINT, SIGHUP),
      manager_(io,
               [this] {
                   boost::asio::post(pulse_->io(), [this] {
                       boost::asio::post(io_, [this] { manager_.alive(); });
                   });
               }),
      settings_(inputs.config, options_.files.sysctls),
      orders_(inputs.config,
              [this](const std::string& group, election::NodeId target, bool force,
                     std::function<void(std::uint32_t)> asked) {
                  ask_failover(group, target, force, std::move(asked));
              }),
      restarter_(io, inputs, options_.command, restart_hands()),
      voters_timer_(io) {
    signals_.add(SIGUSR2);
}

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
            history_.add_stages(node_, group, "announced", to_ms(after));
            spdlog::info("announced group={} term={} after_ms={:.2f}", group, term.value,
                         to_ms(after));
            addresses_well(group);
            if (flows_) {
                // Conntrack's settings are there once the first rules have loaded its module.
                put_settings();
                flows_->announced(group);
            }
        });
    };
    listener.report = [this, here](std::string group, vip::Report report) {
        here([this, group = std::move(group), report = std::move(report)] {
            note_report(group, report);
        });
    };
    listener.announces_again = [this, here](std::string group, std::string why) {
        here([this, group = std::move(group), why = std::move(why)] {
            spdlog::info("announces again group={} reason=\"{}\"", group, why);
            note_event(group, "announces again: " + why);
        });
    };
    listener.failover_done = [this, here](std::uint32_t id, election::AskResult result,
                                          election::NodeId target) {
        here([this, id, result, target] { orders_.answered(id, result, target); });
    };
    listener.gate_wanted = [this, here](vip::InterfaceIndex index, bool stood) {
        here([this, index, stood] { guard(index, stood); });
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
    listener.resumed = [this, here](Duration silent) {
        here([this, silent] {
            const std::string version(control::version());
            note_event(fmt::format("restarted in place: version {}, {:.1f} ms without frames",
                                   version, to_ms(silent)));
        });
    };
    listener.stopped = [this, here] { here([this] { pulse_stopped(); }); };
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
    if (entry.to == "leader") {
        leaders_[entry.group] = entry.node;
    } else if (leaders_[entry.group] == entry.node) {
        leaders_[entry.group].clear();
    }
    if (transition.node == election::node_id(node_)) {
        states_[entry.group] = entry.to;
        if (entry.to != "leader") addresses_well(entry.group);
        if (flows_ && entry.to != "leader") flows_->left(entry.group);
        if (flows_ && entry.to == "leader") flows_->led(entry.group);
        leadership_changed();
    } else if (flows_ && entry.to == "leader") {
        flows_->led_by_other(entry.group);
    }
    history_.add(std::move(entry));
    tell_manager();
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
    if (report.notice == vip::Notice::waiting || report.notice == vip::Notice::ready) return;
    note_event(group, report.text);
}

void Work::note_event(const std::string& group, const std::string& reason) {
    const auto state = states_.find(group);
    control::HistoryEntry entry;
    entry.time = wall_time(BootClock::now());
    entry.node = node_;
    entry.group = group;
    entry.from = entry.to = state != states_.end() ? state->second : "starting";
    entry.reason = reason;
    history_.add(std::move(entry));
}

void Work::note_event(const std::string& reason) {
    spdlog::warn("event: {}", reason);
    for (const config::Group& group : config_.groups) note_event(group.name, reason);
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

void Work::guard(vip::InterfaceIndex index, bool stood) {
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
            if (stood) {
                note_event("the gate on " + interface_name(index) +
                           " was removed by somebody else; put back");
            }
        }
    }
    boost::asio::post(pulse_->io(), [this, index, attached] { pulse_->gated(index, attached); });
}

void Work::apply_settings(const vip::Links& links) {
    if (stopping_ || !inputs_.routes() || !settings_.links_changed(links)) return;
    put_settings();
}

void Work::put_settings() {
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

Result<> Work::start() {
    control::ServerOptions server;
    server.path = options_.socket;
    server_ = std::make_unique<control::Server>(io_, *this, server);
    if (const auto started = server_->start(); !started) return started;
    // What a crash left: its originals are the host's, so they come back before ours are made.
    if (!options_.resumed) {
        if (const auto restored = settings_.restore(); !restored) return restored;
    }
    if (inputs_.routes()) {
        start_drainer();
        start_checks();
        const auto started = inputs_.plan ? start_supervised() : start_embedded();
        if (!started) return started;
        if (options_.resumed) start_resumed();
    }
    note_voters_later();
    wait_for_signals();
    manager_.ready();
    return {};
}

void Work::set_health(health::Source source) {
    boost::asio::post(pulse_->io(),
                      [this, source = std::move(source)] { pulse_->set_health(source); });
}

void Work::start_checks() {
    HealthService::Events events;
    events.health = [this](health::Source source) { set_health(std::move(source)); };
    events.forget = [this](const std::string& source) {
        boost::asio::post(pulse_->io(), [this, source] { pulse_->forget_health(source); });
    };
    events.turned = [](const std::string& check, const health::Transition& transition) {
        spdlog::info("check name=\"{}\" from={} to={} reason=\"{}\"", check,
                     health::to_string(transition.from), health::to_string(transition.to),
                     transition.reason);
    };
    events.all_up = [this] {
        if (supervised_) supervised_->serves();
    };
    checks_ = std::make_unique<HealthService>(io_, inputs_.checks, std::move(events));
    if (!inputs_.plan) checks_->start(Duration::zero());
}

Result<> Work::start_embedded() {
    if (config_.router.kind != config::RouterKind::embedded) return {};
    RouterService::Events events;
    events.health = [this](health::Source source) { set_health(std::move(source)); };
    events.backend_changed = [](const router::Change& change) {
        spdlog::info("backend address={} from=\"{}\" to=\"{}\" reason=\"{}\"",
                     change.backend.to_string(), change.from, change.to, change.reason);
    };
    events.trouble = [this](const std::string& what) {
        trouble("router", what, "install nftables, or load the kernel modules that are named");
    };
    events.standings = [this](std::vector<router::Standing> standings) {
        if (flows_) flows_->judge(std::move(standings));
    };
    events.settled = [this] { backend_drainer_->settled(); };
    events.put_back = [this] {
        note_event("the table inet hamr had been removed by somebody, and was put back");
    };
    router_ = std::make_unique<RouterService>(io_, config_, inputs_.monitor_password, settings_,
                                              std::move(events));
    start_flows();
    start_backend_drainer();
    if (const auto started = router_->start(options_.resumed); !started) return started;
    return flows_->start();
}

void Work::start_flows() {
    flows_ = std::make_unique<FlowService>(
        io_, inputs_,
        [this](const std::string& key, const std::string& what, const std::string& remedy) {
            trouble(key, what, remedy);
        },
        [this](const std::string& peer, const std::vector<router::BackendOrder>& orders,
               bool standing) {
            if (backend_drainer_) backend_drainer_->heard(peer, orders, standing);
        },
        [this](const std::string& group, const std::string& text) { note_event(group, text); });
}

Result<> Work::start_supervised() {
    SupervisedService::Events events;
    events.health = [this](health::Source source) { set_health(std::move(source)); };
    events.crashed = [this](const std::string& reason) { note_event(reason); };
    events.trouble = [this](const std::string& what) {
        trouble("router", what,
                "it is started again by itself; its own words are in the log of hamrd");
    };
    supervised_ = std::make_unique<SupervisedService>(
        io_, config_, *inputs_.plan, options_.files.router, *checks_, std::move(events));
    start_flows();
    if (const auto started = flows_->start(); !started) return started;
    return supervised_->start(inputs_.drained, leads_any());
}

void Work::start_drainer() {
    Drainer::Hands hands;
    hands.tell = [this](bool drained) {
        boost::asio::post(pulse_->io(), [this, drained] { pulse_->drain(drained); });
    };
    hands.finish = [this](BootTime deadline) {
        if (supervised_) supervised_->finish(deadline);
    };
    hands.connections = [this]() -> std::uint64_t {
        if (supervised_) return supervised_->connections();
        return flows_ ? flows_->flows() : 0;
    };
    hands.finished = [this] {
        return supervised_ ? supervised_->settle_finish() : !flows_ || flows_->flows() == 0;
    };
    hands.resume = [this] {
        if (supervised_) supervised_->resume();
    };
    hands.log = [this](const std::string& what) { note_event(what); };
    hands.trouble = [this](const std::string& what) {
        trouble("drain", what, "make the directory writable; hamrd --state names another");
    };
    drainer_ = std::make_unique<Drainer>(io_, options_.drained_file,
                                         config_.router.provider.drain_timeout, std::move(hands));
    drainer_->start(inputs_.drained);
}

void Work::leadership_changed() {
    const bool any = leads_any();
    // The drain first: it may want the router to stay as it is.
    if (drainer_) drainer_->leads(any);
    if (supervised_) supervised_->leads(any);
}

bool Work::leads_any() const {
    return std::any_of(states_.begin(), states_.end(),
                       [](const auto& entry) { return entry.second == "leader"; });
}

void Work::resume(const election::Status& status) {
    for (const election::GroupStatus& group : status.groups) {
        states_[group.name] = election::to_string(group.state);
        if (group.leader != election::no_node) {
            leaders_[group.name] = node_name(config_, group.leader);
        }
    }
}

void Work::start_resumed() {
    leadership_changed();
    for (const auto& [group, state] : states_) {
        if (flows_ && state == "leader") flows_->announced(group);
    }
    tell_manager();
    if (options_.reload_router && supervised_) reload_router([](const control::Answer&) {});
}

Restarter::Hands Work::restart_hands() {
    Restarter::Hands hands;
    hands.status = [this] { return status(); };
    hands.failover = [this](control::FailoverRequest request,
                            std::function<void(control::FailoverAnswer)> done) {
        failover(std::move(request), std::move(done));
    };
    hands.election = [this]() -> std::optional<election::Status> {
        const auto pulse = ask_pulse();
        return pulse ? std::optional(pulse->election) : std::nullopt;
    };
    hands.leave = [this](Departure departure) {
        departure.failed = [this, failed = std::move(departure.failed)](const Error& error) {
            boost::asio::post(io_, [failed, error] { failed(error); });
        };
        boost::asio::post(pulse_->io(),
                          [this, departure = std::move(departure)] { pulse_->leave(departure); });
    };
    hands.log = [this](const std::string& what) { note_event(what); };
    return hands;
}

void Work::tell_manager() {
    std::string line;
    for (const auto& [group, state] : states_) {
        line += (line.empty() ? "" : ", ") + group + ": " + state;
        const std::string& leader = leaders_[group];
        if (state != "leader") line += leader.empty() ? ", nobody leads" : ", " + leader + " leads";
    }
    manager_.status(line);
}

void Work::wait_for_signals() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
        if (error) return;
        if (signal == SIGUSR2) {
            restart(
                [](const control::Answer& answer) { spdlog::info("restart: {}", answer.message); });
            wait_for_signals();
            return;
        }
        if (signal != SIGHUP) {
            spdlog::info("stopping signal={}", signal);
            stop();
            return;
        }
        reload({},
               [](const control::Answer& answer) { spdlog::info("reload: {}", answer.message); });
        wait_for_signals();
    });
}

void Work::stop() {
    stopping_ = true;
    manager_.stopping();
    boost::asio::post(pulse_->io(), [this] { pulse_->stop(); });
}

void Work::pulse_stopped() {
    // Leadership has moved: now the router may go, too.
    if (drainer_) drainer_->stop();
    if (backend_drainer_) backend_drainer_->stop();
    if (checks_) checks_->pause();
    if (supervised_) {
        supervised_->stop([this] { io_.stop(); });
    } else {
        io_.stop();
    }
}

void Work::start_or_stop() {
    if (const auto started = start(); !started) {
        spdlog::error("start error=\"{}\"", started.error().message());
        stop();
    }
}

void Work::run() {
    auto guard = boost::asio::make_work_guard(io_);
    io_.run();
}

void Work::clean_up() {
    if (server_) server_->stop();
    if (router_) router_->stop();
    if (flows_) flows_->stop();
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
    status.node = node_;
    status.version = std::string(control::version());
    status.quorum = std::string(config::to_string(config_.effective_mode()));
    status.started = wall_time(started_);
    status.warnings = inputs_.warnings;
    status.router.kind = std::string(config_.router.kind_name());
    status.router.state = control::RouterState::off;
    for (const auto& [key, warning] : troubles_) status.warnings.push_back(warning);
    for (const control::Warning& warning : absent_addresses(inputs_.node(), local_addresses())) {
        status.warnings.push_back(warning);
    }
    if (router_) show_router(*router_, status);
    if (supervised_) supervised_->show(status.router);
    if (flows_) {
        status.flows = flows_->status();
        status.router.flows = status.flows->own;
        flows_->count(status.router.backends);
    }
    if (checks_) status.checks = checks_->status();
    if (drainer_) status.drain = drainer_->status();
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

void Work::look_for_new_ports() {
    std::vector<control::Warning> unused;
    const auto plan = plan_router(config_.router.provider, unused);
    if (plan) checks_->replace(checks_of(config_, &*plan), config_.router.provider.start_timeout);
}

}  // namespace hamr::daemon
