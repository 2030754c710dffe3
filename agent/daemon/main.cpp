// SPDX-License-Identifier: GPL-2.0-or-later
// hamrd: the agent of one host. This file is the wiring diagram.

#include "agent/cli/exit_codes.hpp"
#include "agent/config/config.hpp"
#include "agent/control/version.hpp"
#include "agent/daemon/cleanup.hpp"
#include "agent/daemon/environment.hpp"
#include "agent/daemon/files.hpp"
#include "agent/daemon/inputs.hpp"
#include "agent/daemon/local_addresses.hpp"
#include "agent/daemon/log.hpp"
#include "agent/daemon/members_note.hpp"
#include "agent/daemon/options.hpp"
#include "agent/daemon/pulse.hpp"
#include "agent/daemon/reexec.hpp"
#include "agent/daemon/translate.hpp"
#include "agent/daemon/warnings.hpp"
#include "agent/daemon/work.hpp"
#include "router/ruleset.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <net/if.h>
#include <sodium.h>
#include <spdlog/spdlog.h>

namespace hamr::daemon {

namespace {

int refuse(int code, const std::string& why) {
    std::fprintf(stderr, "hamrd: %s\n", why.c_str());
    return code;
}

/// EPERM and EACCES are the caller's to mend; anything else is what `otherwise` says.
int code_of(const Error& error, int otherwise) {
    const bool permission = error.code == std::errc::operation_not_permitted ||
                            error.code == std::errc::permission_denied;
    return permission ? cli::exit_no_permission : otherwise;
}

/// The gate stands, shut, on every interface before the first frame says that this node holds no
/// lease: an earlier life of the agent may have left an open one. Where it stands now.
Result<std::vector<vip::InterfaceIndex>> guard_links(vip::Gate& gate) {
    struct if_nameindex* const list = ::if_nameindex();
    if (list == nullptr) return fail_errno("the list of interfaces", errno);
    Result<std::vector<vip::InterfaceIndex>> guarded;
    for (const struct if_nameindex* link = list; link->if_index != 0; ++link) {
        const vip::InterfaceIndex index{static_cast<int>(link->if_index)};
        const auto attached = gate.attach(index);
        if (attached) {
            guarded->push_back(index);
            continue;
        }
        guarded = tl::unexpected(
            Error{"the gate on " + std::string(link->if_name) + ": " + attached.error().what,
                  attached.error().code});
        break;
    }
    ::if_freenameindex(list);
    return guarded;
}

void log_warnings(const std::vector<control::Warning>& warnings) {
    for (const control::Warning& warning : warnings) {
        spdlog::warn("what=\"{}\" remedy=\"{}\"", warning.what, warning.remedy);
    }
}

/// The agent ends, so the gate goes; unless an address is still there (an earlier life of the agent
/// left it, or it could not be taken off in time), which must stay mute.
Result<> take_gate_off(const config::Config& config) {
    const std::vector<IpAddress> local = local_addresses();
    bool leftover = false;
    for (const std::vector<IpAddress>& group : group_addresses(config)) {
        leftover = leftover || std::find_first_of(group.begin(), group.end(), local.begin(),
                                                  local.end()) != group.end();
    }
    if (leftover) return fail("an address is still there, so the gate stays: hamrd --cleanup");
    const auto removed = vip::Gate::cleanup();
    if (!removed) return tl::unexpected(removed.error());
    return {};
}

PulseConfig pulse_inputs(const Inputs& inputs) {
    PulseConfig pulse = pulse_config(inputs.config, inputs.self, inputs.keys);
    pulse.drained = inputs.drained;
    pulse.settings.same_voters = inputs.same_voters;
    if (!inputs.retired.empty()) {
        PulseGroup& retired = pulse.groups.emplace_back();
        retired.name = inputs.config.groups.front().name;  // where the history tells of them
        retired.addresses.retired = true;
        for (const IpAddress& address : inputs.retired) {
            retired.addresses.addresses.push_back({address, address.bits()});
        }
    }
    const router::ProviderConfig& provider = inputs.config.router.provider;
    const bool paused =
        inputs.plan.has_value() && (inputs.drained || provider.start == router::StartWhen::leader);
    if (!paused) {
        for (std::string& source : HealthService::source_names(inputs.checks)) {
            pulse.health_sources.push_back(std::move(source));
        }
    }
    return pulse;
}

/// Before the first frame, and once nobody else speaks for this node. The note is written again by
/// Work, when these voters have counted for as long as a promise lasts.
void look_for_voters(const Options& options, Inputs& inputs) {
    const std::string file = members_file(options.state, inputs.config.cluster, inputs.node().name);
    inputs.same_voters = members_noted(file, node_names(inputs.config));
    if (inputs.same_voters) return;
    const auto gone = forget_members(file);
    if (gone) return;
    inputs.warnings.push_back(
        {"the note of this node's former voters stays: " + gone.error().message(),
         "remove it, and make " + options.state + " writable"});
}

/// Nothing has been started.
int give_up(const config::Config& config, const Error& error) {
    (void)take_gate_off(config);
    return refuse(code_of(error, cli::exit_failed), error.message());
}

/// The same life, its groups in the order of this configuration.
Life arranged(const config::Config& config, Life life) {
    Life next = life;
    next.groups.clear();
    next.terms.clear();
    next.led_since.clear();
    next.announced.clear();
    for (const config::Group& group : config.groups) {
        const auto known = std::find(life.groups.begin(), life.groups.end(), group.name);
        const auto at = static_cast<std::size_t>(known - life.groups.begin());
        const bool old = known != life.groups.end();
        next.groups.push_back(group.name);
        next.terms.push_back(old ? life.terms[at] : election::Term{});
        next.led_since.push_back(old ? life.led_since[at] : long_ago);
        next.announced.push_back(old && life.announced[at]);
    }
    return next;
}

/// What this life had and the configuration has no more, once each.
std::vector<IpAddress> retired_addresses(const config::Config& config, const Life& life) {
    std::vector<IpAddress> retired;
    for (const std::string& text : life.addresses) {
        const auto address = IpAddress::parse(text);
        if (!address) continue;
        bool used = std::find(retired.begin(), retired.end(), *address) != retired.end();
        for (const std::vector<IpAddress>& group : group_addresses(config)) {
            used = used || std::find(group.begin(), group.end(), *address) != group.end();
        }
        if (!used) retired.push_back(*address);
    }
    return retired;
}

/// The life that an earlier program has left, if this configuration can go on with it.
std::optional<ResumedLife> resume_life(Inputs& inputs, std::optional<Life> life) {
    if (!life) return std::nullopt;
    const PulseConfig config = pulse_config(inputs.config, inputs.self, inputs.keys);
    auto election = election::Election::restore(config.settings, life->election, BootClock::now());
    const std::size_t groups = life->groups.size();
    const bool damaged = life->terms.size() != groups || life->led_since.size() != groups ||
                         life->announced.size() != groups;
    // Also for a new life: what stays of the old one is taken away.
    inputs.retired = retired_addresses(inputs.config, *life);
    if (!election || damaged) {
        spdlog::warn("restart begins a new life reason=\"{}\"",
                     election ? "the snapshot is nonsense" : election.error().message());
        (void)vip::Gate::adopt(life->gate, life->gate_groups);  // which closes its descriptors
        return std::nullopt;
    }
    ResumedLife resumed{*life, std::move(*election), false};
    std::vector<std::string> names;
    std::vector<std::string> addresses;
    for (const config::Group& group : inputs.config.groups) names.push_back(group.name);
    for (const std::vector<IpAddress>& group : gate_groups(inputs)) {
        for (const IpAddress& address : group) addresses.push_back(address.to_string());
    }
    resumed.same_gate = names == life->groups && addresses == life->addresses;
    return resumed;
}

/// A gate for other addresses: open for as long as the one before it, where the group is the same.
Result<vip::Gate> replace_gate(const Inputs& inputs, const vip::Gate& before, const Life& life) {
    auto gate = vip::Gate::open(gate_groups(inputs));
    if (!gate) return gate;
    for (std::uint32_t group = 0; group < inputs.config.groups.size(); ++group) {
        const auto known =
            std::find(life.groups.begin(), life.groups.end(), inputs.config.groups[group].name);
        if (known == life.groups.end()) continue;
        const vip::GateGroup old{static_cast<std::uint32_t>(known - life.groups.begin())};
        gate->set_until(vip::GateGroup{group}, before.until(old));
        gate->set_forward(vip::GateGroup{group}, before.forward(old));
    }
    return gate;
}

/// The gate of before with its lease as it is, or one for other addresses; else a new one, shut.
Result<vip::Gate> open_plain_gate(const Inputs& inputs, std::optional<ResumedLife>& life) {
    if (life) {
        auto adopted = vip::Gate::adopt(life->life.gate, life->life.gate_groups);
        if (adopted && life->same_gate) return adopted;
        if (adopted) return replace_gate(inputs, *adopted, life->life);
        spdlog::warn("restart begins a new life reason=\"{}\"", adopted.error().message());
        life.reset();
    }
    return vip::Gate::open(gate_groups(inputs));
}

static_assert(vip::Gate::reset_mark == router::reset_mark);

Result<vip::Gate> open_gate(const Inputs& inputs, std::optional<ResumedLife>& life) {
    auto gate = open_plain_gate(inputs, life);
    const bool embedded = inputs.config.router.kind == config::RouterKind::embedded;
    if (gate) gate->guard_resets(embedded && inputs.routes());
    return gate;
}

int serve(const Options& options, const std::vector<std::string>& arguments, Inputs inputs,
          std::optional<Life> left) {
    reap_children();
    auto lock = left && left->lock >= 0 ? Result<UniqueFd>(UniqueFd(left->lock)) : lock_namespace();
    if (!lock) return refuse(cli::exit_failed, lock.error().message());
    look_for_voters(options, inputs);
    const bool again = left.has_value();
    const int nice = again ? left->nice : 0;
    std::optional<ResumedLife> life = resume_life(inputs, std::move(left));
    lock_memory(inputs.warnings);
    auto gate = open_gate(inputs, life);
    if (!gate) {
        return refuse(code_of(gate.error(), cli::exit_kernel), gate.error().message());
    }
    const bool resumed = life.has_value();
    const bool stands = resumed && life->same_gate;
    const auto guarded = stands ? Result<std::vector<vip::InterfaceIndex>>() : guard_links(*gate);
    if (!guarded) {
        return refuse(code_of(guarded.error(), cli::exit_kernel), guarded.error().message());
    }
    const bool reload_router = resumed && life->life.reload_router;
    if (resumed) life->life = arranged(inputs.config, std::move(life->life));
    const Files files(options.socket);
    if (const auto made = make_run_directory(files.directory); !made) {
        return give_up(inputs.config, made.error());
    }

    // The netlink thread inherits the priority; whatever else starts here must not.
    raise_priority(inputs.warnings);
    boost::asio::io_context pulse_io{1};
    boost::asio::io_context work_io{1};
    Work work(work_io, inputs,
              {options.socket,
               files,
               drained_file(options.state, inputs.config.cluster, inputs.node().name),
               backends_file(options.state, inputs.config.cluster, inputs.node().name),
               {options, arguments, lock->get()},
               resumed,
               reload_router},
              *gate);
    hear_signals();

    auto pulse =
        Pulse::open(pulse_io, pulse_inputs(inputs), *gate, work.listener(), std::move(life));
    if (!pulse) {
        return give_up(inputs.config, pulse.error());
    }
    work.set_pulse(**pulse);
    if (resumed) work.resume((*pulse)->status().election);
    for (const vip::InterfaceIndex index : *guarded) (*pulse)->gated(index, true);
    lower_priority();
    if (again) be_as_nice(nice);
    if (!resumed) {
        if (const auto started = work.start(); !started) {
            return give_up(inputs.config, started.error());
        }
    }
    spdlog::info("started version={} cluster={} node={} quorum={} interval_ms={} misses={}",
                 control::version(), inputs.config.cluster, inputs.node().name,
                 config::to_string(inputs.config.effective_mode()),
                 to_ms(inputs.config.heartbeat.interval), inputs.config.heartbeat.misses);
    log_warnings(inputs.warnings);
    log_warnings(absent_addresses(inputs.node(), local_addresses()));
    std::thread worker([&work, resumed] {
        // Frames do not wait for the router.
        if (resumed) work.start_or_stop();
        work.run();
    });
    std::vector<control::Warning> unused;
    raise_priority(unused);
    (*pulse)->run();
    worker.join();
    work.clean_up();
    if (const auto taken = take_gate_off(inputs.config); !taken) {
        spdlog::error("gate error=\"{}\"", taken.error().message());
    }
    spdlog::info("stopped");
    return cli::exit_done;
}

}  // namespace

int run(int argc, char** argv) {
    const std::vector<std::string> arguments(argv, argv + argc);
    const auto parsed = parse_options(argc, argv);
    if (parsed.done) return parsed.code;
    const Options& options = parsed.options;
    if (sodium_init() < 0) return refuse(cli::exit_failed, "libsodium could not be initialised");
    if (options.cleanup) return clean_up(options);
    open_log();
    ignore_sigpipe();
    // It is a reload, once the agent runs; until then it must not end it.
    std::signal(SIGHUP, SIG_IGN);
    std::signal(SIGUSR2, SIG_IGN);
    auto life = inherit_life();
    try {
        auto inputs = read_inputs(options);
        if (!inputs) return refuse(cli::exit_config, inputs.error().message());
        if (options.rehearse) {
            // A reload may want another gate, which takes its time.
            if (options.new_gate) (void)vip::Gate::open(group_addresses(inputs->config));
            std::printf("%s\n", rehearsed_line(*options.rehearse).c_str());
            return cli::exit_done;
        }
        return serve(options, arguments, std::move(*inputs), std::move(life));
    } catch (const config::ConfigError& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.cause() == std::errc::permission_denied ? cli::exit_no_permission
                                                             : cli::exit_config;
    }
}

}  // namespace hamr::daemon

int main(int argc, char** argv) {
    return hamr::daemon::run(argc, argv);
}
