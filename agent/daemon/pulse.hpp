// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/daemon/address_keeper.hpp"
#include "agent/daemon/beat_gaps.hpp"
#include "agent/daemon/pulse_watch.hpp"
#include "agent/daemon/reexec.hpp"
#include "election/auth.hpp"
#include "election/election.hpp"
#include "election/io/transport.hpp"
#include "health/verdict.hpp"
#include "vip/gate/gate.hpp"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

// The pulse loop: heartbeats, election, addresses, gate.
//
// This is the one file that knows election and vip at once: it carries out the actions of the
// election on the gate and the addresses, and tells the election what became of them.
//
// Threading: one thread runs the io_context and everything here, at real-time priority where that
// is permitted. Others talk to it by post(). It never logs, resolves names, opens files or waits:
// what is to be said goes through Listener to the work loop.

namespace hamr::daemon {

struct PulseGroup {
    election::GroupId id;
    std::string name;
    vip::PlanConfig addresses;
};

struct PulseConfig {
    election::Settings settings;
    std::vector<election::Key> keys;
    std::vector<Endpoint> own;
    std::vector<election_io::PeerEndpoints> peers;
    std::vector<PulseGroup> groups;
    /// A witness holds none: the state of its interfaces is no concern of the election.
    bool holds_addresses = true;
    /// Sources of health that must speak before this node counts as healthy ("router").
    std::vector<std::string> health_sources;
    /// For how long this host goes on with open connections after it has handed over: the embedded
    /// router's, whose successor has them, too (docs/protocol.md F16). Zero: not at all.
    Duration forward{};
    /// It begins drained, from the first frame on.
    bool drained = false;
};

/// What the pulse loop tells; called on the pulse thread, so implementations only post.
struct Listener {
    std::function<void(election::Transition)> transition;
    std::function<void(std::string group, election::Term term, Duration after)> announced;
    std::function<void(std::string group, vip::Report report)> report;
    std::function<void(std::string group, std::string why)> announces_again;
    std::function<void(std::uint32_t id, election::AskResult result, election::NodeId target)>
        failover_done;
    std::function<void(vip::InterfaceIndex index, bool stood)> gate_wanted;
    std::function<void(vip::Links links)> links_changed;
    /// This node's demotion has changed.
    std::function<void(std::uint32_t demotion, std::string reason)> demoted;
    /// A frame was dropped, the `total`-th for this reason; told once per `drop_notice_period`.
    std::function<void(election::DropReason reason, Endpoint source, std::uint64_t total)> dropped;
    /// The life of an earlier program goes on here, with its first frame, after that time.
    std::function<void(Duration silent)> resumed;
    /// After stop(): every address is gone (or the time for it is over).
    std::function<void()> stopped;
};

/// A picture of the pulse loop's state, made on request.
struct PulseStatus {
    BootTime now;
    election::Status election;
    std::array<std::uint64_t, election::drop_reasons> drops{};
    std::uint64_t late = 0;
    std::uint64_t duplicates = 0;
    health::Verdict health;
    std::vector<election_io::PathStats> paths;
    std::vector<election_io::Arrival> arrivals;
    BeatGaps gaps;
    std::uint64_t moves = 0;  ///< to another processor, since the one before was stuck
};

/// A life to go on with: what the earlier program left, and the election that came of it.
struct ResumedLife {
    Life life;
    std::unique_ptr<election::Election> election;
    bool same_gate = true;  ///< the configuration has the addresses of before
};

/// How this program is to be left for the next one.
struct Departure {
    Duration needs{};
    /// What the next program runs with, where leases must last under that, too (rule M20).
    std::optional<election::Settings> next;
    /// Leases are released first, for this reason (rule M21).
    std::optional<std::string> let_go;
    /// Executes it; returns only with an error.
    std::function<Error(Life&)> leave;
    std::function<void(Error)> failed;
};

class Pulse {
  public:
    static constexpr Duration drop_notice_period = std::chrono::seconds{10};

    /// Opens sockets; `gate` outlives the pulse and has one slot per group, in their order. A life
    /// that is given goes on; else a new one begins.
    static Result<std::unique_ptr<Pulse>> open(boost::asio::io_context& io, PulseConfig config,
                                               vip::Gate& gate, Listener listener,
                                               std::optional<ResumedLife> life = std::nullopt);

    /// Runs the loop on this thread until stop() is done.
    void run();

    // On the pulse thread only (post to it).
    [[nodiscard]] PulseStatus status() const;
    void set_health(health::Source source);
    /// This source counts no more (a check that pauses).
    void forget_health(const std::string& source);
    void drain(bool drained);
    [[nodiscard]] std::uint32_t request_failover(election::GroupId group, election::NodeId target,
                                                 bool force);
    void gated(vip::InterfaceIndex index, bool attached);
    /// Calls Departure::leave at a moment at which every lease held lasts for `needs` and nothing
    /// is left to do. Departure::failed is told why it did not come to that within 2 D, or what
    /// leave returned.
    void leave(Departure departure);
    /// Hands over, takes the addresses off, keeps telling the release for a while, then ends run().
    void stop();

    [[nodiscard]] boost::asio::io_context& io() { return io_; }

  private:
    /// Under way since leave().
    struct Leaving {
        Departure departure;
        BootTime until;
    };

    Pulse(boost::asio::io_context& io, PulseConfig config, vip::Gate& gate, Listener listener,
          std::optional<ResumedLife> life);
    Result<> open_all();
    void resume_addresses();
    void leave_if_fit(BootTime now);
    [[nodiscard]] bool leases_last(BootTime now, const Departure& departure) const;
    [[nodiscard]] Life life(BootTime now) const;
    /// Whether this opinion waits, since the program is still finding out (see below).
    [[nodiscard]] bool defer(const health::Source& source);
    void end_grace(BootTime now);

    void received(Bytes datagram, const Endpoint& source, int path);
    void drop(BootTime now, election::DropReason reason, const Endpoint& source);
    void tick();
    /// Carries out what the election wants, updates the addresses, sets the alarm.
    void settle(BootTime now);
    void carry_out(BootTime now, election::Action& action);
    void arm(BootTime now);
    void report_health(BootTime now);
    void check_readiness();
    /// With several paths: whether the addresses' links still lead to anybody.
    void check_paths(BootTime now);
    void check_stopped(BootTime now);
    [[nodiscard]] std::size_t group_index(election::GroupId group) const;

    boost::asio::io_context& io_;
    PulseConfig config_;
    vip::Gate& gate_;
    Listener listener_;
    election::ClusterId cluster_;
    election::Keyring keyring_;
    std::optional<ResumedLife> resumed_;  // until run()
    std::unique_ptr<election::Election> election_;
    std::optional<election_io::Transport> transport_;
    std::unique_ptr<AddressKeeper> keeper_;
    boost::asio::steady_timer alarm_;
    BootTime alarm_at_ = never;
    health::Sources health_;
    std::uint32_t told_demotion_ = 0;
    std::vector<std::byte> buffer_;
    std::map<election::GroupId, std::size_t> group_indices_;
    std::vector<election::Term> terms_;  // by group: the term led, 0 when not leading
    std::vector<BootTime> led_since_;    // by group
    std::array<std::uint64_t, election::drop_reasons> drops_{};
    std::array<BootTime, election::drop_reasons> drops_told_{};
    std::uint64_t late_ = 0;
    std::uint64_t duplicates_ = 0;
    BeatGaps gaps_;
    std::unique_ptr<PulseWatch> watch_;  // while run() runs, where it is of use
    bool settling_ = true;  ///< at first: nothing is carried out before everything is open
    bool told_ = false;     // a frame has gone out in this settle()
    std::optional<Leaving> leaving_;
    // A program that goes on with a life knows the health of before; until its own sources have
    // found as much, or the grace is over, what they say worse waits.
    std::set<std::string> unproven_;
    std::map<std::string, health::Source> deferred_;
    BootTime grace_until_ = never;
    BootTime paths_at_ = never;      // the next check_paths()
    BootTime stop_at_ = never;       // run() ends then at the latest
    BootTime linger_until_ = never;  // and not before
};

}  // namespace hamr::daemon
