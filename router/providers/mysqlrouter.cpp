// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/kinds.hpp"
#include "router/providers/text.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// MySQL Router, as `mysqlrouter --bootstrap` or a person set it up. Tried with 9.7.4.
//
// It stays in the foreground by itself, ends at SIGTERM within 30 ms and cuts its sessions, knows
// no reload (SIGHUP reopens its log) and no drain.
//
// Its pid file  It refuses to start when the file is there, so that a power cut or a SIGKILL would
//               keep it down for good. The agent holds its process, so nobody needs the file:
//               --pid-file=/dev/null beats pid_file and $ROUTER_PID, is never "already there", and
//               is not removed at the end, since it is no regular file. Needs 8.0.20 or newer.
//
// Its words     Unless told otherwise it logs to a file only, and ends without a word of why. So
//               the console is added to its sinks; what is there already stays. Needs 8.0.28 or
//               newer, which knows --logger.sinks.
//
// Its file      [section] or [section:key], name = value or name: value, `#` and `;` begin comments
//               at the start of a line only; names in any case; [DEFAULT] holds for every section.

namespace hamr::router {

namespace {

using Options = std::map<std::string, std::string>;

struct Section {
    std::string name;
    std::string key;
    Options options;
};

struct Ini {
    Options defaults;
    std::vector<Section> sections;

    /// The section's, else [DEFAULT]'s, else nothing.
    [[nodiscard]] std::optional<std::string> find(const Section& section,
                                                  const std::string& name) const {
        for (const Options* options : {&section.options, &defaults}) {
            const auto found = options->find(name);
            if (found != options->end()) return found->second;
        }
        return std::nullopt;
    }
};

Ini parse_ini(std::string_view text) {
    Ini ini;
    Options* current = nullptr;
    std::string_view line;
    while (next_line(text, line)) {
        line = trim(line);
        if (line.empty() || line.front() == '#' || line.front() == ';') continue;
        if (line.front() == '[') {
            current = nullptr;
            if (line.back() != ']') continue;
            line = line.substr(1, line.size() - 2);
            const auto colon = line.rfind(':');
            const std::string name = lower(trim(line.substr(0, colon)));
            if (name == "default") {
                current = &ini.defaults;
                continue;
            }
            std::string key;
            if (colon != std::string_view::npos) key = std::string(trim(line.substr(colon + 1)));
            ini.sections.push_back({name, std::move(key), {}});
            current = &ini.sections.back().options;
            continue;
        }
        const auto sign = line.find_first_of(":=");
        if (current == nullptr || sign == std::string_view::npos) continue;
        current->emplace(lower(trim(line.substr(0, sign))),
                         std::string(trim(line.substr(sign + 1))));
    }
    return ini;
}

bool is_on(const std::optional<std::string>& value) {
    return value && *value != "0" && lower(*value) != "false";
}

/// bind_address may carry the port itself; without one, `port` counts.
std::optional<Endpoint> endpoint_of(std::string_view address, const std::string& port) {
    std::string_view host = address;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    const auto parsed = IpAddress::parse(host);
    if (!parsed) return parse_listen(address);
    const auto number = parse_port(port);
    if (!number) return std::nullopt;
    return Endpoint{*parsed, *number};
}

void add_route(const Ini& ini, const Section& section, Plan& plan) {
    Listener listener;
    listener.name = section.key.empty() ? section.name : section.key;
    const std::string protocol = lower(ini.find(section, "protocol").value_or("classic"));
    if (protocol == "x") {
        listener.protocol = Listener::Protocol::mysql_x;
    } else if (protocol != "classic") {
        listener.protocol = Listener::Protocol::other;
    }
    const auto address = endpoint_of(ini.find(section, "bind_address").value_or("127.0.0.1"),
                                     ini.find(section, "bind_port").value_or(""));
    if (!address) return;
    listener.address = *address;
    add_listener(plan, std::move(listener));
}

void add_http(const Ini& ini, const Section& section, Plan& plan) {
    Listener listener;
    listener.name = section.name;
    listener.protocol =
        is_on(ini.find(section, "ssl")) ? Listener::Protocol::other : Listener::Protocol::http;
    const auto address = endpoint_of(ini.find(section, "bind_address").value_or("0.0.0.0"),
                                     ini.find(section, "port").value_or("8081"));
    if (!address) return;
    listener.address = *address;
    add_listener(plan, std::move(listener));
}

/// Where it logs: `sinks`, else to the console when logging_folder is empty, else to a file.
std::string sinks_of(const Ini& ini) {
    for (const Section& section : ini.sections) {
        const auto sinks = section.options.find("sinks");
        if (section.name == "logger" && sinks != section.options.end() && !sinks->second.empty()) {
            return sinks->second;
        }
    }
    const auto folder = ini.defaults.find("logging_folder");
    return folder != ini.defaults.end() && folder->second.empty() ? "consolelog" : "filelog";
}

}  // namespace

Result<> plan_mysqlrouter(const ProviderConfig& config, std::string_view file, Plan& plan) {
    plan.argv = {program_of(config, "/usr/bin/mysqlrouter"), "-c", config_path(config),
                 "--pid-file=/dev/null"};
    plan.stop = SendSignal{signal_term};
    const Ini ini = parse_ini(file);
    const std::string sinks = sinks_of(ini);
    if (sinks.find("consolelog") == std::string::npos) {
        plan.argv.push_back("--logger.sinks=consolelog," + sinks);
    }
    for (const Section& section : ini.sections) {
        if (section.name == "routing") add_route(ini, section, plan);
    }
    warn_without_listener(config, "[routing] section with a TCP port", plan);
    for (const Section& section : ini.sections) {
        if (section.name == "http_server") add_http(ini, section, plan);
    }
    return {};
}

}  // namespace hamr::router
