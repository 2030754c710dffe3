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

/// Before the first frame, and once nobody else speaks for this node.
void note_voters(const Options& options, Inputs& inputs) {
    std::vector<std::string> names;
    for (const config::Node& node : inputs.config.nodes) names.push_back(node.name);
    const MembersNote note =
        note_members(members_file(options.state, inputs.config.cluster, inputs.node().name), names);
    inputs.same_voters = note.same;
    if (note.kept) return;
    inputs.warnings.push_back(
        {"the voters of this node cannot be kept: " + note.kept.error().message(),
         "after each start it votes for nobody for 3 s; make " + options.state + " writable"});
}

/// Nothing has been started.
int give_up(const config::Config& config, const Error& error) {
    (void)take_gate_off(config);
    return refuse(code_of(error, cli::exit_failed), error.message());
}

/// The life that an earlier program has left, if this configuration can go on with it.
std::optional<ResumedLife> resume_life(const Inputs& inputs, std::optional<Life> life) {
    if (!life) return std::nullopt;
    const PulseConfig config = pulse_config(inputs.config, inputs.self, inputs.keys);
    const std::size_t groups = inputs.config.groups.size();
    std::vector<std::string> addresses;
    for (const std::vector<IpAddress>& group : group_addresses(inputs.config)) {
        for (const IpAddress& address : group) addresses.push_back(address.to_string());
    }
    auto election = election::Election::restore(config.settings, life->election, BootClock::now());
    const bool other = addresses != life->addresses || life->terms.size() != groups ||
                       life->led_since.size() != groups || life->announced.size() != groups;
    if (!election || other) {
        spdlog::warn("restart begins a new life reason=\"{}\"",
                     election ? "other addresses" : election.error().message());
        (void)vip::Gate::adopt(life->gate, groups);  // which closes its descriptors
        return std::nullopt;
    }
    return ResumedLife{std::move(*life), std::move(*election)};
}

/// The gate of before with its lease as it is; else a new one, shut.
Result<vip::Gate> open_plain_gate(const Inputs& inputs, std::optional<ResumedLife>& life) {
    if (life) {
        auto adopted = vip::Gate::adopt(life->life.gate, inputs.config.groups.size());
        if (adopted) return adopted;
        spdlog::warn("restart begins a new life reason=\"{}\"", adopted.error().message());
        life.reset();
    }
    return vip::Gate::open(group_addresses(inputs.config));
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
    note_voters(options, inputs);
    const bool again = left.has_value();
    const int nice = again ? left->nice : 0;
    std::optional<ResumedLife> life = resume_life(inputs, std::move(left));
    lock_memory(inputs.warnings);
    auto gate = open_gate(inputs, life);
    if (!gate) {
        return refuse(code_of(gate.error(), cli::exit_kernel), gate.error().message());
    }
    const bool resumed = life.has_value();
    const auto guarded = resumed ? Result<std::vector<vip::InterfaceIndex>>() : guard_links(*gate);
    if (!guarded) {
        return refuse(code_of(guarded.error(), cli::exit_kernel), guarded.error().message());
    }
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
               resumed},
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
