// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/pulse.hpp"

#include "agent/daemon/deaf_link.hpp"
#include "base/assert.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>
#include <sodium.h>

namespace hamr::daemon {

namespace {

constexpr Duration longest_stop = std::chrono::milliseconds{700};
constexpr std::uint32_t demotion_no_link = 200;
/// Less than that of a link that is known to be down; both may hold of two hosts.
constexpr std::uint32_t demotion_deaf_link = 150;
constexpr Duration deaf_patience = std::chrono::milliseconds{500};
constexpr int rounds_per_event = 64;
/// How long a program that goes on with a life may need to find out what the earlier one knew.
constexpr Duration health_grace = std::chrono::seconds{3};

election::BootId random_boot() {
    std::uint64_t value = 0;
    while (value == 0) randombytes_buf(&value, sizeof value);
    return election::BootId{value};
}

std::unique_ptr<election::Election> election_of(std::optional<ResumedLife>& life,
                                                const election::Settings& settings) {
    if (life) return std::move(life->election);
    return std::make_unique<election::Election>(settings, random_boot(), BootClock::now());
}

}  // namespace

Pulse::Pulse(boost::asio::io_context& io, PulseConfig config, vip::Gate& gate, Listener listener,
             std::optional<ResumedLife> life)
    : io_(io),
      config_(std::move(config)),
      gate_(gate),
      listener_(std::move(listener)),
      cluster_(election::cluster_id(config_.settings.cluster)),
      keyring_(config_.keys),
      resumed_(std::move(life)),
      election_(election_of(resumed_, config_.settings)),
      alarm_(io),
      terms_(config_.groups.size()),
      led_since_(config_.groups.size(), long_ago) {
    for (const PulseGroup& group : config_.groups) {
        group_indices_.emplace(group.id, group_indices_.size());
    }
    for (const std::string& source : config_.health_sources) health_.declare(source);
    if (config_.holds_addresses) health_.declare("addresses");
    // A host with one address hears its peers over the addresses' link, or not at all.
    if (config_.holds_addresses && config_.own.size() > 1) paths_at_ = BootClock::now();
    if (config_.drained) election_->drain(BootClock::now(), true);
    if (!resumed_) return;
    terms_ = resumed_->life.terms;
    led_since_ = resumed_->life.led_since;
    terms_.resize(config_.groups.size());
    led_since_.resize(config_.groups.size(), long_ago);
    grace_until_ = BootClock::now() + health_grace;
    for (const health::Source& source : health_.all()) unproven_.insert(source.name);
    for (const health::Source& source : resumed_->life.health) {
        health_.set(source);
        unproven_.insert(source.name);
    }
    told_demotion_ = health_.verdict().demotion;
}

Result<std::unique_ptr<Pulse>> Pulse::open(boost::asio::io_context& io, PulseConfig config,
                                           vip::Gate& gate, Listener listener,
                                           std::optional<ResumedLife> life) {
    std::unique_ptr<Pulse> pulse(
        new Pulse(io, std::move(config), gate, std::move(listener), std::move(life)));
    const Result<> opened = pulse->open_all();
    if (!opened) return tl::unexpected(opened.error());
    return pulse;
}

Result<> Pulse::open_all() {
    AddressKeeper::Events events;
    events.announced = [this](std::size_t group) {
        const BootTime now = BootClock::now();
        const election::Term term = terms_[group];
        election_->announced(now, config_.groups[group].id, term);
        listener_.announced(config_.groups[group].name, term, now - led_since_[group]);
        settle(now);
    };
    events.report = [this](std::size_t group, const vip::Report& report) {
        listener_.report(config_.groups[group].name, report);
    };
    events.changed = [this] {
        check_readiness();
        listener_.links_changed(keeper_->links());
    };
    events.gate_wanted = [this](vip::InterfaceIndex index, bool stood) {
        listener_.gate_wanted(index, stood);
    };
    events.update = [this] { settle(BootClock::now()); };

    std::vector<vip::PlanConfig> plans;
    for (const PulseGroup& group : config_.groups) plans.push_back(group.addresses);
    auto keeper = AddressKeeper::open(io_, std::move(plans), std::move(events));
    if (!keeper) return tl::unexpected(keeper.error());
    keeper_ = std::move(*keeper);
    if (resumed_) resume_addresses();

    auto transport = election_io::Transport::open(
        io_, config_.own, [this](Bytes datagram, const Endpoint& source, int path) {
            received(datagram, source, path);
        });
    if (!transport) return tl::unexpected(transport.error());
    transport_ = std::move(*transport);
    settling_ = false;
    return transport_->set_peers(config_.peers);
}

void Pulse::resume_addresses() {
    for (const int index : resumed_->life.gated) keeper_->gated(vip::InterfaceIndex{index}, true);
    const BootTime now = BootClock::now();
    for (std::size_t group = 0; group < terms_.size(); ++group) {
        if (terms_[group] != election::Term{}) {
            keeper_->resume(group, resumed_->life.announced[group], now);
        }
    }
}

void Pulse::run() {
    watch_ = PulseWatch::start(config_.settings.timing.interval);
    tick();
    if (resumed_) listener_.resumed(BootClock::now() - resumed_->life.at);
    resumed_.reset();
    auto guard = boost::asio::make_work_guard(io_);
    io_.run();
    watch_.reset();
}

void Pulse::received(Bytes datagram, const Endpoint& source, int path) {
    const BootTime now = BootClock::now();
    const auto frame = keyring_.open(datagram, cluster_);
    if (!frame) {
        drop(now, frame.error(), source);
        return;
    }
    const election::Received received = election_->receive(now, *frame, path);
    switch (received.verdict) {
        case election::Verdict::dropped:
            drop(now, received.reason, source);
            break;
        case election::Verdict::late:
            ++late_;
            break;
        case election::Verdict::duplicate:
            ++duplicates_;
            break;
        case election::Verdict::used:
        case election::Verdict::greeted:
            break;
    }
    settle(now);
}

void Pulse::drop(BootTime now, election::DropReason reason, const Endpoint& source) {
    const auto index = static_cast<std::size_t>(reason);
    ++drops_[index];
    if (drops_[index] > 1 && now - drops_told_[index] < drop_notice_period) return;
    drops_told_[index] = now;
    listener_.dropped(reason, source, drops_[index]);
}

void Pulse::tick() {
    alarm_at_ = never;
    if (watch_) watch_->expect(never);
    const BootTime now = BootClock::now();
    if (now >= grace_until_) end_grace(now);
    election_->tick(now);
    if (now >= paths_at_) check_paths(now);
    settle(now);
}

void Pulse::settle(BootTime now) {
    // What is carried out may call back (an address that is there at once has been announced);
    // the outermost call goes on until nothing is left.
    if (settling_) return;
    settling_ = true;
    told_ = false;
    for (int round = 0; round < rounds_per_event; ++round) {
        std::vector<election::Action> actions = election_->take_actions();
        for (election::Action& action : actions) carry_out(now, action);
        if (!keeper_->update(now) && actions.empty()) break;
    }
    settling_ = false;
    if (leaving_) leave_if_fit(now);
    check_stopped(now);
    arm(now);
}

void Pulse::carry_out(BootTime now, election::Action& action) {
    if (auto* send = std::get_if<election::Send>(&action)) {
        told_ = true;
        keyring_.seal_into(send->frame, buffer_);
        if (send->to == election::no_node) {
            transport_->send_all(buffer_);
            gaps_.beat(BootClock::now());
        } else {
            transport_->send(buffer_, send->to);
        }
    } else if (const auto* gate = std::get_if<election::SetGate>(&action)) {
        gate_.set_until(vip::GateGroup{static_cast<std::uint32_t>(group_index(gate->group))},
                        gate->until);
    } else if (const auto* lead = std::get_if<election::Lead>(&action)) {
        const std::size_t group = group_index(lead->group);
        terms_[group] = lead->term;
        led_since_[group] = now;
        gate_.set_forward(vip::GateGroup{static_cast<std::uint32_t>(group)}, long_ago);
        keeper_->hold(group, now);
    } else if (const auto* down = std::get_if<election::StepDown>(&action)) {
        const std::size_t group = group_index(down->group);
        terms_[group] = election::Term{};
        // Only somebody who has been named goes on with them; a lost lease forwards nothing.
        if (down->successor != election::no_node && config_.forward > Duration::zero()) {
            gate_.set_forward(vip::GateGroup{static_cast<std::uint32_t>(group)},
                              now + config_.forward);
        }
        keeper_->release(group);
    } else if (const auto* again = std::get_if<election::AnnounceAgain>(&action)) {
        const std::size_t group = group_index(again->group);
        keeper_->announce(group, now);
        listener_.announces_again(config_.groups[group].name, again->reason);
    } else if (auto* transition = std::get_if<election::Transition>(&action)) {
        listener_.transition(std::move(*transition));
    } else if (const auto* done = std::get_if<election::FailoverDone>(&action)) {
        listener_.failover_done(done->id, done->result, done->target);
    }
}

void Pulse::arm(BootTime now) {
    BootTime at =
        std::min({election_->next_wakeup(), keeper_->next(), stop_at_, grace_until_, paths_at_});
    if (leaving_) at = std::min(at, leaving_->until);
    if (linger_until_ > now) at = std::min(at, linger_until_);
    if (at >= alarm_at_) return;  // the alarm set rings earlier; it will look again
    alarm_at_ = at;
    if (watch_) watch_->expect(at);
    alarm_.expires_after(std::max(Duration::zero(), at - now));
    alarm_.async_wait([this](const boost::system::error_code& error) {
        if (!error) tick();
    });
}

std::size_t Pulse::group_index(election::GroupId group) const {
    const auto found = group_indices_.find(group);
    HAMR_ASSERT(found != group_indices_.end());
    return found->second;
}

// Health ------------------------------------------------------------------------------------------

void Pulse::set_health(health::Source source) {
    if (defer(source)) return;
    health_.set(std::move(source));
    report_health(BootClock::now());
}

bool Pulse::defer(const health::Source& source) {
    if (!unproven_.contains(source.name)) return false;
    const auto& all = health_.all();
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const health::Source& s) { return s.name == source.name; });
    deferred_.erase(source.name);
    if (known == all.end() || source.demotion <= known->demotion) {
        unproven_.erase(source.name);
        return false;
    }
    deferred_[source.name] = source;
    return true;
}

void Pulse::end_grace(BootTime now) {
    grace_until_ = never;
    for (const std::string& name : std::exchange(unproven_, {})) {
        // Nobody speaks for it any more: the configuration has other checks now.
        const auto& declared = config_.health_sources;
        const bool known = name == "addresses" || deferred_.contains(name) ||
                           std::find(declared.begin(), declared.end(), name) != declared.end();
        if (!known) health_.remove(name);
    }
    for (auto& [name, source] : std::exchange(deferred_, {})) health_.set(std::move(source));
    report_health(now);
}

void Pulse::forget_health(const std::string& source) {
    unproven_.erase(source);
    deferred_.erase(source);
    health_.remove(source);
    report_health(BootClock::now());
}

void Pulse::drain(bool drained) {
    const BootTime now = BootClock::now();
    election_->drain(now, drained);
    settle(now);
}

void Pulse::check_readiness() {
    if (!config_.holds_addresses) return;
    const BootTime now = BootClock::now();
    const vip::Readiness readiness = keeper_->readiness();
    health::Source source;
    source.name = "addresses";
    source.live = true;
    if (!readiness.ready) {
        source.demotion = demotion_no_link;
        source.reason = readiness.reason;
        source.urgent = true;  // a link is this host's own
    }
    if (defer(source)) return;
    health_.set(std::move(source));
    report_health(now);
}

void Pulse::check_paths(BootTime now) {
    const Duration lease = config_.settings.timing.lease();
    paths_at_ = now + lease;
    const election::Status status = election_->status(now);
    health::Source source;
    source.name = "paths";
    source.live = true;
    for (const PulseGroup& group : config_.groups) {
        if (group.addresses.retired) continue;
        const auto deaf =
            deaf_link(keeper_->links(), group.addresses, status.nodes, transport_->arrivals(), now,
                      std::max<Duration>(lease * 2, deaf_patience));
        if (!deaf) continue;
        source.demotion = demotion_deaf_link;
        // Not urgent: where the whole network of the addresses is dead, nothing should move.
        source.reason = "no peer is heard on " + *deaf + ", only over other networks";
        break;
    }
    if (!defer(source)) health_.set(std::move(source));
    // Also when nothing has changed: a peer may wait for a look that began after it was demoted.
    report_health(now);
}

void Pulse::report_health(BootTime now) {
    health_.refresh(now);
    const health::Verdict verdict = health_.verdict();
    if (verdict.demotion != told_demotion_) listener_.demoted(verdict.demotion, verdict.reason);
    told_demotion_ = verdict.demotion;
    election_->health(now, {verdict.demotion, verdict.begun_at, verdict.urgent, verdict.reason});
    settle(now);
}

// The outside -------------------------------------------------------------------------------------

void Pulse::gated(vip::InterfaceIndex index, bool attached) {
    keeper_->gated(index, attached);
    check_readiness();
    settle(BootClock::now());
}

std::uint32_t Pulse::request_failover(election::GroupId group, election::NodeId target,
                                      bool force) {
    const BootTime now = BootClock::now();
    const std::uint32_t id = election_->request_failover(now, group, target, force);
    // The answer may be among the actions already: it must not be told before the caller knows id.
    boost::asio::post(io_, [this] { settle(BootClock::now()); });
    return id;
}

PulseStatus Pulse::status() const {
    PulseStatus status;
    status.now = BootClock::now();
    status.election = election_->status(status.now);
    status.drops = drops_;
    status.late = late_;
    status.duplicates = duplicates_;
    status.health = health_.verdict();
    status.gaps = gaps_;
    if (watch_) status.moves = watch_->moves();
    const auto paths = transport_->paths();
    status.paths.assign(paths.begin(), paths.end());
    const auto arrivals = transport_->arrivals();
    status.arrivals.assign(arrivals.begin(), arrivals.end());
    return status;
}

// A restart in place -----------------------------------------------------------------------------

void Pulse::leave(Departure departure) {
    const BootTime now = BootClock::now();
    if (stop_at_ != never) return departure.failed({"the agent stops"});
    if (departure.let_go) election_->let_go(now, *departure.let_go);
    leaving_ = Leaving{std::move(departure), now + config_.settings.timing.lease() * 2};
    settle(now);
}

bool Pulse::leases_last(BootTime now, const Departure& departure) const {
    if (departure.next && election_->lease_under(*departure.next, now) < departure.needs) {
        return false;
    }
    const election::Status status = election_->status(now);
    return std::all_of(status.groups.begin(), status.groups.end(),
                       [&](const election::GroupStatus& group) {
                           return group.state != election::State::leader ||
                                  group.lease.value_or(Duration::zero()) >= departure.needs;
                       });
}

void Pulse::leave_if_fit(BootTime now) {
    const bool leads = std::any_of(terms_.begin(), terms_.end(),
                                   [](election::Term term) { return term != election::Term{}; });
    const bool over = now >= leaving_->until;
    // A leader leaves with a lease that has just been renewed; a follower when it has just told the
    // leader of itself, or when nobody wants to hear of it.
    const bool fit = leads ? leases_last(now, leaving_->departure) : told_ || over;
    if (!fit && !over) return;
    const Departure departure = std::exchange(leaving_, std::nullopt)->departure;
    if (!fit) {
        departure.failed({"no lease lasted for as long as the restart would take"});
        return;
    }
    Life left = life(now);
    // The next program inherits the processors that this thread may use.
    watch_.reset();
    departure.failed(departure.leave(left));
    watch_ = PulseWatch::start(config_.settings.timing.interval);
}

Life Pulse::life(BootTime now) const {
    Life life;
    life.at = now;
    life.election = election_->save();
    for (const PulseGroup& group : config_.groups) {
        if (!group.addresses.retired) life.groups.push_back(group.name);
        for (const IpPrefix& prefix : group.addresses.addresses) {
            life.addresses.push_back(prefix.address.to_string());
        }
    }
    life.terms = terms_;
    life.terms.resize(life.groups.size());
    life.led_since = led_since_;
    life.led_since.resize(life.groups.size());
    for (const election::GroupStatus& group : election_->status(now).groups) {
        life.announced.push_back(group.announced);
    }
    for (const vip::InterfaceIndex index : keeper_->gated()) life.gated.push_back(index.value);
    life.health = health_.all();
    life.gate = gate_.handles();
    life.gate_groups = gate_.groups();
    return life;
}

void Pulse::stop() {
    const BootTime now = BootClock::now();
    stop_at_ = now + longest_stop;
    // Who stops does not come back as another program.
    if (leaving_) std::exchange(leaving_, std::nullopt)->departure.failed({"the agent stops"});
    // A frame may get lost: the release is told for as long as a promise lasts.
    linger_until_ = now + std::min<Duration>(config_.settings.timing.lease() * 2, longest_stop / 2);
    election_->resign(now);
    settle(now);
}

void Pulse::check_stopped(BootTime now) {
    if (stop_at_ == never || io_.stopped()) return;
    const bool gone = now >= linger_until_ && keeper_->all_gone();
    if (!gone && now < stop_at_) return;
    listener_.stopped();
    io_.stop();
}

}  // namespace hamr::daemon
