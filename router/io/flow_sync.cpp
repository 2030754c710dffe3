// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_sync.hpp"

#include "base/clock.hpp"
#include "router/flows.hpp"
#include "router/io/conntrack_events.hpp"
#include "router/io/conntrack_table.hpp"
#include "router/io/flow_replica.hpp"
#include "router/io/flow_resets.hpp"
#include "router/io/flow_rules.hpp"
#include "router/io/flow_stream.hpp"
#include "router/io/reset_ways.hpp"
#include "router/io/tickle.hpp"
#include "router/io/tickle_rounds.hpp"
#include "router/ruleset.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sodium.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using boost::system::error_code;
using namespace std::chrono_literals;
using router::FlowId;
using router::FlowTable;

namespace {

constexpr Duration flush_after = 2ms;
constexpr std::size_t flush_at = 2048;
/// Replicas are told to the kernel again long before the time-outs that they were given.
constexpr Duration refresh_after = 6h;
constexpr Duration half_second = 500ms;
/// As many of those that the kernel had no room for are told it again in half a second, some 50 ms
/// of work in small parts.
constexpr std::size_t most_retries = 4096;
/// A peer that has not been connected for this long is worth a warning.
constexpr Duration patience = 10s;
/// And after this long its flows are of no use any more.
constexpr Duration memory = 1h;

std::uint64_t random_number() {
    std::uint64_t number = 0;
    while (number == 0) randombytes_buf(&number, sizeof number);
    return number;
}

FlowTable::Config table_config(const FlowSyncConfig& config) {
    FlowTable::Config table;
    table.groups = config.groups;
    table.nodes = config.peers.size() + 1;
    table.seed = random_number();
    table.replicas = config.replicas;
    return table;
}

std::vector<IpAddress> all_vips(const FlowSyncConfig& config) {
    std::vector<IpAddress> all;
    for (const auto& group : config.groups) all.insert(all.end(), group.begin(), group.end());
    return all;
}

}  // namespace

class FlowSync::Impl : public std::enable_shared_from_this<FlowSync::Impl> {
  public:
    Impl(const asio::any_io_executor& executor, FlowSyncConfig config, Events events);

    Result<> start();
    void stop();
    void lead(std::size_t group, bool leads);
    void tell_orders(const std::vector<router::BackendOrder>& orders, bool standing);
    void judge(std::vector<router::Standing> standings) { resets_.judge(std::move(standings)); }
    [[nodiscard]] FlowSyncStatus status() const;
    [[nodiscard]] std::vector<FlowPeerStatus> peers() const;
    [[nodiscard]] const FlowTable& table() const { return table_; }

  private:
    struct Group {
        /// All clients of others have been reset; with replicas: a dump has confirmed what lives.
        bool taken = false;
        bool dumping = false;  ///< a dump has begun since it is led
    };

    [[nodiscard]] ConntrackEvents::Events kernel_events();
    [[nodiscard]] FlowStreams::Events stream_events();
    [[nodiscard]] FlowRules::Events rule_events();
    [[nodiscard]] TickleRounds::Events round_events();
    [[nodiscard]] FlowResets::Events reset_events();
    void changed(BootTime since);
    void flush();
    void tick();
    void look_at_peers(BootTime now);
    void look_at_limits(BootTime now);
    [[nodiscard]] bool heard(std::size_t peer, const router::FlowMessage& message);
    void tickle(std::vector<FlowId> flows, bool far);
    void begin_lead(std::size_t group);
    void end_lead(std::size_t group);
    void confirm();
    void tell_led();
    void pump_later();
    void pump();
    void trouble(const std::string& key, const std::string& what, const std::string& remedy);

    FlowSyncConfig config_;
    Events events_;
    asio::any_io_executor executor_;
    FlowTable table_;
    ConntrackEvents kernel_;
    FlowStreams streams_;
    Tickler tickler_;
    TickleRounds rounds_;
    ConntrackTable conntrack_;
    FlowRules rules_;
    ResetWays ways_;
    FlowResets resets_;
    FlowLimits limits_;
    std::deque<FlowReplica> replicas_;
    std::vector<Group> groups_;
    asio::steady_timer flush_timer_;
    asio::steady_timer tick_timer_;
    std::optional<BootTime> changed_at_;
    std::uint64_t refused_before_ = 0;
    std::uint64_t unsent_before_ = 0;
    std::uint64_t kernel_refused_before_ = 0;
    BootTime refreshed_ = BootClock::now();
    bool pumping_ = false;
    bool confirm_ = false;  ///< a dump is due once the kernel has been told all
    std::set<std::string> troubles_;
    bool stopped_ = true;
};

FlowSync::Impl::Impl(const asio::any_io_executor& executor, FlowSyncConfig config, Events events)
    : config_(std::move(config)),
      events_(std::move(events)),
      executor_(executor),
      table_(table_config(config_)),
      kernel_(executor, all_vips(config_), kernel_events()),
      streams_(executor, {config_.self, config_.own, config_.peers, config_.keys}, stream_events()),
      tickler_(executor),
      rounds_(executor, table_, config_.groups.size(), round_events()),
      rules_(executor, router::render_tracking(all_vips(config_)), rule_events()),
      ways_(executor),
      resets_(executor, table_, config_.groups, conntrack_, ways_, tickler_, reset_events()),
      limits_([this](const std::string& key, const std::string& what, const std::string& remedy) {
          trouble(key, what, remedy);
      }),
      groups_(config_.groups.size()),
      flush_timer_(executor),
      tick_timer_(executor) {
    for (FlowKey& key : config_.keys) sodium_memzero(key.bytes.data(), key.bytes.size());
    config_.keys.clear();
    const std::uint64_t boot = random_number();
    for (std::size_t peer = 0; peer < config_.peers.size(); ++peer) {
        replicas_.emplace_back(table_, streams_, peer + 1, peer, boot, config_.replicas);
    }
}

Result<> FlowSync::Impl::start() {
    if (config_.replicas) {
        if (auto opened = conntrack_.open(); !opened) return opened;
    }
    if (auto listening = streams_.start(); !listening) return listening;
    if (auto hearing = kernel_.start(); !hearing) {
        streams_.stop();
        return hearing;
    }
    stopped_ = false;
    if (config_.load_rules) rules_.start();
    asio::post(executor_, [self = shared_from_this()] { self->tick(); });
    return {};
}

void FlowSync::Impl::stop() {
    stopped_ = true;
    rules_.stop();
    rounds_.stop();
    resets_.stop();
    tickler_.stop();
    kernel_.stop();
    streams_.stop();
    flush_timer_.cancel();
    tick_timer_.cancel();
}

void FlowSync::Impl::trouble(const std::string& key, const std::string& what,
                             const std::string& remedy) {
    // An end is told only of what has begun.
    if (what.empty() ? troubles_.erase(key) == 0 : (troubles_.insert(key), false)) return;
    events_.trouble(key, what, remedy);
}

// The kernel --------------------------------------------------------------------------------------

ConntrackEvents::Events FlowSync::Impl::kernel_events() {
    ConntrackEvents::Events events;
    events.heard = [this](const router::Flow& flow, router::Heard how) {
        table_.local(flow, how);
        resets_.look(flow);
        changed(kernel_.since());
    };
    events.gone = [this](const FlowId& id) {
        table_.local_gone(id);
        changed(kernel_.since());
    };
    events.begin_dump = [this] {
        table_.begin_dump();
        for (std::size_t group = 0; group < groups_.size(); ++group) {
            groups_[group].dumping = table_.leads(group);
        }
    };
    events.end_dump = [this] {
        table_.end_dump();
        changed(BootClock::now());
        confirm();
        pump_later();
    };
    events.trouble = [this](const std::string& what) {
        trouble("flows", what,
                "clients of this host may hang after a takeover; is the kernel's "
                "nf_conntrack_netlink missing?");
    };
    return events;
}

FlowRules::Events FlowSync::Impl::rule_events() {
    FlowRules::Events events;
    events.loaded = [this](bool again) {
        trouble("flows-rules", {}, {});
        if (!again) return;
        events_.log("the table inet hamr had been removed and was put back");
        kernel_.resync();
    };
    events.failed = [this](const Error& error) {
        trouble("flows-rules", "connections to the addresses are not tracked: " + error.message(),
                "clients of this host may hang after a takeover");
    };
    return events;
}

/// Changes are told together: soon, or when there are many.
void FlowSync::Impl::changed(BootTime since) {
    if (table_.pending() == 0) return;
    if (table_.pending() >= flush_at) return flush();
    if (changed_at_) return;
    changed_at_ = since;
    flush_timer_.expires_after(flush_after);
    flush_timer_.async_wait([self = shared_from_this()](error_code error) {
        if (!error && !self->stopped_) self->flush();
    });
}

void FlowSync::Impl::flush() {
    flush_timer_.cancel();
    const BootTime since = changed_at_.value_or(BootClock::now());
    changed_at_.reset();
    const router::FlowChanges changes = table_.take_changes();
    if (changes.empty()) return;
    for (FlowReplica& replica : replicas_) replica.tell(changes, since);
}

// The peers ---------------------------------------------------------------------------------------

FlowStreams::Events FlowSync::Impl::stream_events() {
    FlowStreams::Events events;
    events.up = [this](std::size_t peer) {
        const BootTime now = BootClock::now();
        replicas_[peer].up(now);
        if (config_.replicas) return;
        for (std::size_t group = 0; group < groups_.size(); ++group) {
            if (groups_[group].taken) replicas_[peer].tell_taken(config_.groups[group], now);
        }
    };
    events.down = [this](std::size_t peer, const std::string& why) {
        events_.log("stream to " + config_.peers[peer].name + " ended: " + why);
        replicas_[peer].down(BootClock::now());
    };
    events.heard = [this](std::size_t peer, const router::FlowMessage& message) {
        return heard(peer, message);
    };
    events.drained = [this](std::size_t peer) { replicas_[peer].drained(BootClock::now()); };
    return events;
}

bool FlowSync::Impl::heard(std::size_t peer, const router::FlowMessage& message) {
    std::vector<FlowId> reset;
    const bool fits = replicas_[peer].heard(message, reset, BootClock::now());
    if (!reset.empty()) rounds_.late(reset);
    changed(BootClock::now());
    const auto* told = std::get_if<router::TellOrders>(&message);
    if (told != nullptr && fits && events_.orders) {
        events_.orders(config_.peers[peer].name, told->orders, told->standing);
    }
    if (!config_.replicas) return fits;
    // A leader has named all that it has: what else this kernel has for its addresses is to go.
    if (std::holds_alternative<router::TakenOver>(message)) confirm_ = true;
    pump_later();
    return fits;
}

void FlowSync::Impl::tick() {
    if (stopped_) return;
    const BootTime now = BootClock::now();
    for (FlowReplica& replica : replicas_) replica.tick(now);
    look_at_peers(now);
    look_at_limits(now);
    if (config_.replicas && now - refreshed_ >= refresh_after) {
        refreshed_ = now;
        table_.refresh_replicas();
        pump_later();
    }
    if (config_.load_rules) rules_.look();
    tick_timer_.expires_after(half_second);
    tick_timer_.async_wait([self = shared_from_this()](error_code error) {
        if (!error) self->tick();
    });
}

void FlowSync::Impl::look_at_peers(BootTime now) {
    for (std::size_t peer = 0; peer < replicas_.size(); ++peer) {
        const std::string& name = config_.peers[peer].name;
        const auto since = replicas_[peer].down_since();
        if (!since) {
            trouble("flows-" + name, {}, {});
            continue;
        }
        if (now - *since > memory && table_.count(peer + 1) > 0) {
            table_.forget(peer + 1);
            pump_later();
        }
        if (now - *since < patience) continue;
        const std::string why = streams_.reason(peer);
        trouble("flows-" + name,
                "no stream of flows with " + name + (why.empty() ? "" : ": " + why),
                "let TCP through between the router hosts, on the heartbeat's port");
    }
}

void FlowSync::Impl::look_at_limits(BootTime now) {
    limits_.look(now, conntrack_usage(), conntrack_.counts().full, table_);
    if (table_.waiting() > 0 && limits_.room() > 0) {
        table_.retry_refused(std::min<std::size_t>(most_retries, limits_.room()));
        pump_later();
    }
    const std::uint64_t refused = table_.refused();
    if (refused != refused_before_) {
        trouble("flows-limit",
                "more flows than can be known: some clients may hang after a takeover",
                "200,000 are kept, of all router hosts together");
    } else {
        trouble("flows-limit", {}, {});
    }
    refused_before_ = refused;
    const std::uint64_t unsent = tickler_.unsent();
    if (unsent != unsent_before_) {
        events_.log("tickles refused by the kernel: " + std::to_string(unsent - unsent_before_) +
                    " (" + tickler_.reason() + ")");
    }
    unsent_before_ = unsent;
    // A full table is the limits' to tell.
    const std::uint64_t denied = conntrack_.counts().refused - conntrack_.counts().full;
    if (denied != kernel_refused_before_) {
        trouble("flows-kernel",
                "flows of other nodes that this host could not go on with: " + conntrack_.reason(),
                "their clients are reset when this node takes over");
    } else {
        trouble("flows-kernel", {}, {});
    }
    kernel_refused_before_ = denied;
}

// Takeover ----------------------------------------------------------------------------------------

void FlowSync::Impl::lead(std::size_t group, bool leads) {
    if (stopped_ || group >= groups_.size()) return;
    const bool turns = table_.leads(group) != leads;
    if (config_.replicas && turns) leads ? begin_lead(group) : end_lead(group);
    const BootTime begun = BootClock::now();
    table_.lead(group, leads);
    if (config_.replicas && turns && leads) {
        using std::chrono::microseconds;
        const auto took = std::chrono::round<microseconds>(BootClock::now() - begun);
        events_.log(std::to_string(table_.count(FlowTable::self)) +
                    " flows are this node's own now, after " + std::to_string(took.count()) +
                    " us");
    }
    if (turns) resets_.lead(group, leads);
    if (leads) return rounds_.begin(group);
    rounds_.end(group);
    groups_[group].taken = false;
}

TickleRounds::Events FlowSync::Impl::round_events() {
    TickleRounds::Events events;
    events.log = events_.log;
    events.tickle = [this](std::vector<FlowId> flows, bool far) { tickle(std::move(flows), far); };
    events.begun = [this](std::size_t group) {
        if (!config_.replicas) groups_[group].taken = false;
    };
    // From now on no node needs to know the flows of the former leader.
    events.over = [this](std::size_t group) {
        flush();
        if (config_.replicas) return;
        groups_[group].taken = true;
        const BootTime now = BootClock::now();
        for (FlowReplica& replica : replicas_) replica.tell_taken(config_.groups[group], now);
    };
    return events;
}

FlowResets::Events FlowSync::Impl::reset_events() {
    FlowResets::Events events;
    events.log = events_.log;
    events.dump = [this] { kernel_.resync(); };
    events.reset = [this](std::size_t group, const std::string& text) {
        if (events_.reset) events_.reset(group, text);
    };
    return events;
}

/// A client answers with what belongs to no flow, which the embedded router's rules drop unless it
/// has been named.
void FlowSync::Impl::tickle(std::vector<FlowId> flows, bool far) {
    if (!config_.replicas) return tickler_.send(flows, far);
    std::vector<router::Way> ways;
    ways.reserve(flows.size());
    for (const FlowId& flow : flows) ways.push_back({flow.client, flow.vip});
    ways_.name(ways, [this, flows = std::move(flows), far](const Result<>& result) {
        if (stopped_) return;
        if (!result) events_.log("clients may not be reset: " + result.error().message());
        tickler_.send(flows, far);
    });
}

// Replicas ----------------------------------------------------------------------------------------

/// All that is known is this node's own from here on; then a dump says what of it there is.
void FlowSync::Impl::begin_lead(std::size_t group) {
    groups_[group].taken = groups_[group].dumping = false;
    confirm_ = true;
    pump_later();
}

/// The last words about what this node has; then it owns nothing.
void FlowSync::Impl::end_lead(std::size_t group) {
    flush();
    groups_[group].taken = groups_[group].dumping = false;
    tell_led();
}

/// A dump has ended. What a group that is led has is known now: the peers are to know it, too.
void FlowSync::Impl::confirm() {
    if (!config_.replicas) return;
    bool news = false;
    for (std::size_t group = 0; group < groups_.size(); ++group) {
        Group& of = groups_[group];
        if (!std::exchange(of.dumping, false) || of.taken || !table_.leads(group)) continue;
        of.taken = news = true;
    }
    if (news) tell_led();
}

void FlowSync::Impl::tell_led() {
    std::vector<IpAddress> vips;
    for (std::size_t group = 0; group < groups_.size(); ++group) {
        if (!groups_[group].taken) continue;
        const auto& of = config_.groups[group];
        vips.insert(vips.end(), of.begin(), of.end());
    }
    const BootTime now = BootClock::now();
    for (FlowReplica& replica : replicas_) replica.lead(vips, now);
}

void FlowSync::Impl::pump_later() {
    if (!config_.replicas || std::exchange(pumping_, true)) return;
    asio::post(executor_, [self = shared_from_this()] {
        self->pumping_ = false;
        if (!self->stopped_) self->pump();
    });
}

/// Tells the kernel some of what it is to know; the rest after whatever else waits.
void FlowSync::Impl::pump() {
    const auto work = table_.take_kernel_work(ConntrackTable::most);
    const std::uint64_t full = conntrack_.counts().full;
    const auto refused = conntrack_.apply(work);
    const bool again = conntrack_.counts().full != full;
    for (const FlowId& id : refused) table_.not_installed(id, again);
    if (table_.kernel_work() > 0) return pump_later();
    resets_.settled();
    for (FlowReplica& replica : replicas_) replica.acknowledge();
    if (std::exchange(confirm_, false)) kernel_.resync();
}

void FlowSync::Impl::tell_orders(const std::vector<router::BackendOrder>& orders, bool standing) {
    for (FlowReplica& replica : replicas_) replica.tell_orders(orders, standing);
}

std::vector<FlowPeerStatus> FlowSync::Impl::peers() const {
    const BootTime now = BootClock::now();
    std::vector<FlowPeerStatus> streams;
    for (std::size_t peer = 0; peer < replicas_.size(); ++peer) {
        FlowPeerStatus& stream = streams.emplace_back();
        stream.name = config_.peers[peer].name;
        replicas_[peer].fill(stream, now);
        if (stopped_) stream.state = "off";
    }
    return streams;
}

FlowSyncStatus FlowSync::Impl::status() const {
    FlowSyncStatus status;
    status.own = table_.count(FlowTable::self);
    status.streams = peers();
    for (const FlowPeerStatus& stream : status.streams) status.peers += stream.flows;
    status.drops = streams_.drops();
    status.replicas = table_.installed();
    status.refused = table_.refused() + conntrack_.counts().refused;
    status.waiting = table_.waiting();
    status.kernel = limits_.usage();
    status.missed = kernel_.missed();
    status.tickles = tickler_.sent();
    status.unsent = tickler_.unsent();
    status.answered = table_.answered();
    return status;
}

// The face ----------------------------------------------------------------------------------------

FlowSync::FlowSync(asio::any_io_executor executor, FlowSyncConfig config, Events events)
    : impl_(std::make_shared<Impl>(executor, std::move(config), std::move(events))) {}

FlowSync::~FlowSync() {
    impl_->stop();
}

Result<> FlowSync::start() {
    return impl_->start();
}

void FlowSync::lead(std::size_t group, bool leads) {
    impl_->lead(group, leads);
}

void FlowSync::judge(std::vector<router::Standing> standings) {
    impl_->judge(std::move(standings));
}

void FlowSync::tell_orders(const std::vector<router::BackendOrder>& orders, bool standing) {
    impl_->tell_orders(orders, standing);
}

FlowSyncStatus FlowSync::status() const {
    return impl_->status();
}

std::vector<FlowPeerStatus> FlowSync::peers() const {
    return impl_->peers();
}

std::map<Endpoint, std::size_t> FlowSync::by_backend() const {
    return impl_->table().by_backend();
}

void FlowSync::stop() {
    impl_->stop();
}

}  // namespace hamr::router_io
