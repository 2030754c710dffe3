// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/prng.hpp"
#include "election/election.hpp"
#include "tests/sim/clock.hpp"
#include "tests/sim/keeper.hpp"
#include "tests/sim/kernel.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/sabotage.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

// A few hosts with the real election core, joined by a network that exists only in memory.
//
// Contract: nothing happens but inside run_until() and the calls that inject a fault; the same
// calls with the same seed give the same run, to the nanosecond. The world plays the daemon: it
// carries out actions in their order, keeps each host's gate as the kernel would (it outlives the
// agent), and calls announced() a little after Lead. With WorldOptions::machines each host has a
// kernel with addresses besides, and its agent the real address plans and health machine; then
// announced() is called when the plan says so. Observers see everything and may throw Violation.
//
// Limits: what is queued for a stopped host is bounded like a socket's buffer.

namespace hamr::sim {

using election::Election;
using election::Frame;

/// What went wrong, with the exit code of the simulator.
struct Violation : std::runtime_error {
    enum class Kind { safety = 10, liveness = 11, harness = 12 };
    Violation(Kind k, const std::string& text) : std::runtime_error(text), kind(k) {}
    Kind kind;
};

using FramePtr = std::shared_ptr<const Frame>;

/// One group as the host's kernel and daemon see it.
struct GroupView {
    BootTime gate = long_ago;     ///< packets leave as the address until then
    std::uint64_t gate_life = 0;  ///< which life of the agent wrote it
    bool leading = false;         ///< between Lead and StepDown of the running agent
    election::Term led;           ///< the newest term led by the running agent
    bool announced = false;       ///< the running agent has been told so, in that term
    RealTime announced_at{Duration{-1}};
};

struct Host {
    std::string name;
    election::NodeId id;
    election::Settings settings;
    LocalClock clock;

    std::unique_ptr<Election> agent;  ///< null: not running
    std::uint64_t life = 0;           ///< counts starts of the agent
    std::vector<std::string> voters;  ///< as the agent notes them on its disk; empty: no note
    std::uint64_t lists = 0;          ///< counts what makes a note that is due obsolete
    Duration longest_asked{};         ///< D of settings that this life has had before
    /// Between two programs of one life: what the old one has left. Nobody runs then.
    std::optional<std::vector<std::byte>> upgrading;
    bool paused = false;
    bool resigned = false;
    std::vector<GroupView> groups;

    // What the faults have made of it; reported again by every health check.
    std::uint32_t demotion = 0;
    bool urgent = false;
    bool drained = false;
    /// An operator has forced leadership on it, perhaps: it may be sick and yet stay.
    bool forced = false;

    /// Runs, as far as the operator is concerned; else it has been taken out of the cluster.
    bool member = true;
    std::vector<bool> peers;  ///< by host, to whom it sends

    // With WorldOptions::machines.
    Kernel kernel{0};
    std::unique_ptr<Keeper> keeper;  ///< of the running program; a witness has none
    std::optional<Doctor> doctor;    ///< of the running life
    int refuses_permille = 0;        ///< of the requests to the kernel
    bool deaf = false;               ///< its netlink socket has run over
    std::uint32_t weight = 0;        ///< of the check, when it fails
    std::uint64_t program = 0;       ///< counts programs; some share a life
    std::uint64_t boots = 0;
    RealTime kernel_busy{};
    RealTime meddled{};  ///< the newest instant at which its addresses or link were interfered with

    // For sabotage (sabotage.hpp): what it has told last.
    Told told;

    RealTime wake = end_of_time;
    std::deque<std::function<void()>> queued;  ///< while paused: frames and completions

    [[nodiscard]] bool running() const { return agent != nullptr; }
    [[nodiscard]] election::NodeRole role() const;
};

class World;

class Observer {
  public:
    virtual ~Observer() = default;
    /// After the world has carried it out.
    virtual void acted(const World&, const Host&, const election::Action&) {}
    virtual void received(const World&, const Host&, const Frame&, int /*path*/,
                          election::Received) {}
    /// After all actions of one event.
    virtual void settled(const World&, const Host&, std::size_t /*actions*/) {}
    virtual void ticked(const World&, const Host&) {}
    /// A fault, or whatever else a reader of the trace wants to know.
    virtual void note(const World&, const std::string&) {}
    /// A gate that ended by itself (only with WorldOptions::watch_gates).
    virtual void gate_ended(const World&, const Host&, election::GroupId) {}
    /// The network hears that the host has this group's address.
    virtual void on_wire(const World&, const Host&, std::size_t /*group*/) {}
    /// The group's addresses stand and have been announced; the agent is about to be told.
    virtual void announced(const World&, const Host&, std::size_t /*group*/) {}
    virtual void reported(const World&, const Host&, std::size_t /*group*/, const vip::Report&) {}
};

/// The kernels, address plans and health machines of all hosts.
struct MachineOptions {
    bool on = false;
    bool ipv6 = false;       ///< each group has an IPv6 address, too
    bool by_address = true;  ///< the interface is found, not configured
    Duration refresh = vip::AnnounceSchedule::default_refresh;
    health::CheckConfig check;
};

struct HostOptions {
    election::Settings settings;
    BootTime boot_clock{};
    int rate = true_rate;
};

struct WorldOptions {
    std::uint64_t seed = 1;
    int paths = 1;
    Weather weather;
    /// How late alarms ring, at most.
    Duration wake_latency{};
    /// How long Lead takes, at most: netlink and the announcement.
    Duration lead_latency_min = std::chrono::microseconds{200};
    Duration lead_latency_max = std::chrono::microseconds{200};
    /// Frames go through encode() and decode().
    bool wire = false;
    bool watch_gates = false;
    /// Frames that wait for a stopped process, at most.
    std::size_t socket_frames = 64;
    /// Every life goes on in another object after every so many events, 0: never. Nothing else may
    /// come of that: the run is the same.
    int relive = 0;
    MachineOptions machines;
    Sabotage broken = Sabotage::nothing;
};

class World {
  public:
    World(WorldOptions options, std::vector<HostOptions> hosts);

    void observe(Observer& observer) { observers_.push_back(&observer); }

    [[nodiscard]] RealTime now() const { return now_; }
    [[nodiscard]] const std::vector<Host>& hosts() const { return hosts_; }
    [[nodiscard]] const Host& host(std::size_t h) const { return hosts_[h]; }
    [[nodiscard]] std::size_t index(election::NodeId node) const;
    [[nodiscard]] std::size_t group_index(election::GroupId group) const;
    [[nodiscard]] const std::vector<std::string>& group_names() const { return group_names_; }
    [[nodiscard]] bool gate_open(const Host& host, std::size_t group) const;
    [[nodiscard]] const WorldOptions& options() const { return options_; }

    Network network;
    [[nodiscard]] Prng& prng() { return prng_; }

    /// Runs `what` at that instant.
    void at(RealTime when, std::function<void()> what);
    void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
    void run_until(RealTime end);
    void run_for(Duration duration) { run_until(now_ + duration); }

    // What happens to hosts. Calls that make no sense (pausing a dead agent) do nothing.
    void start(std::size_t h);
    void crash(std::size_t h);
    /// The agent saves itself and is gone; upgraded() goes on with that, after a time in which
    /// nobody runs.
    void upgrade(std::size_t h);
    /// A snapshot that is damaged meanwhile must be refused: then a new life begins.
    void upgraded(std::size_t h, bool damaged);
    /// `hamr reload`: the same life goes on under other settings, after that time.
    void reload(std::size_t h, election::Settings settings, Duration takes);
    /// Unlike a crash it empties the kernel too, and the clock starts again.
    void power_cut(std::size_t h);
    void pause(std::size_t h);
    void resume(std::size_t h, bool frames_first);
    void set_rate(std::size_t h, int rate);
    void settings(std::size_t h, election::Settings settings);
    void set_latencies(Duration wake, Duration lead_min, Duration lead_max);

    // Calls into the agent; they wait like frames while it is paused.
    void health(std::size_t h, const election::HealthReport& report);
    void demote(std::size_t h, std::uint32_t demotion, bool urgent);
    void drain(std::size_t h, bool drained);
    void resign(std::size_t h);
    std::uint32_t failover(std::size_t h, std::size_t group, election::NodeId target, bool force);
    /// Hands a frame to a host, as the network would (or as someone who recorded it could).
    void deliver(std::size_t h, const FramePtr& frame, int path);

    // What happens to machines (world_host.cpp); nothing without WorldOptions::machines.
    void link(std::size_t h, bool up, bool carrier);
    /// Somebody else adds or deletes an address of the group there.
    void meddle(std::size_t h, std::size_t group, bool add);
    /// So many of its kernel's answers are refusals.
    void refuse(std::size_t h, int permille);
    /// The agent hears no events of its kernel, and then how things stand.
    void overrun(std::size_t h, Duration time);
    /// A check ends that began at `begun` and found what is drawn now.
    void probe(std::size_t h, BootTime begun);
    void member(std::size_t h, bool is_member) { hosts_[h].member = is_member; }

    void note(const std::string& text) const;

  private:
    struct Event {
        RealTime at;
        std::uint64_t order;
        std::size_t slot;  ///< in whats_
    };
    struct Later {
        bool operator()(const Event& a, const Event& b) const {
            return a.at != b.at ? a.at > b.at : a.order > b.order;
        }
    };

    void enter(std::size_t h, const std::function<void(Election&, BootTime)>& call);
    void carry_out(std::size_t h);
    void settle(std::size_t h);
    using Actions = std::shared_ptr<const std::vector<election::Action>>;
    void perform(std::size_t h, const Actions& all, const election::Action& action);
    void send(std::size_t h, const Actions& all, const election::Send& send);
    void set_gate(std::size_t h, const election::SetGate& gate);
    void watch_gate(std::size_t h, std::size_t group);
    void lead(std::size_t h, const election::Lead& lead);
    void schedule_wake(std::size_t h);
    void announce_later(std::size_t h, std::size_t group);
    void wake(std::size_t h, std::uint64_t life, RealTime planned);
    void relive(std::size_t h);
    void look_for_voters(std::size_t h);
    void note_voters_later(std::size_t h);
    void note_voters(std::size_t h, std::uint64_t list, BootTime due);
    void receive(std::size_t h, const FramePtr& frame, int path);
    void know_peers(std::size_t h);
    [[nodiscard]] BootTime next_wakeup(const Host& host) const;

    // world_host.cpp
    void begin_program(std::size_t h);
    void go_on_with_addresses(std::size_t h);
    bool keep_addresses(std::size_t h);
    void carry_out_on_kernel(std::size_t h, std::size_t group, const vip::Action& action);
    template <class Request>
    void ask_kernel(std::size_t h, std::size_t group, const Request& request);
    void tell_kernel_news(std::size_t h, std::vector<vip::KernelEvent> events);
    void note_readiness(std::size_t h);
    void report_health(std::size_t h);
    void announce_on_wire(std::size_t h, std::size_t group, const vip::Announce& announcement);

    WorldOptions options_;
    Prng prng_;
    RealTime now_{};
    std::uint64_t next_order_ = 0;
    std::vector<Event> events_;  ///< a heap
    std::vector<std::function<void()>> whats_;
    std::vector<std::size_t> free_slots_;
    std::vector<Host> hosts_;
    std::vector<std::string> group_names_;
    std::vector<election::GroupId> group_ids_;
    std::vector<Observer*> observers_;
    int events_until_relived_ = 0;
    RealTime woken_at_ = end_of_time;
    int woken_ = 0;  ///< times at that instant
};

}  // namespace hamr::sim
