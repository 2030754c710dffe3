// SPDX-License-Identifier: GPL-2.0-or-later
// `health:`, a list of checks: what they have in common first, then kind by kind.
#include "agent/config/duration.hpp"
#include "agent/config/kinds.hpp"
#include "agent/config/parts.hpp"
#include "agent/config/url.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace hamr::config {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Words = std::vector<std::string_view>;

constexpr Duration shortest = milliseconds(10);
constexpr Duration longest = std::chrono::minutes(10);
constexpr std::size_t longest_name = 63;
/// As much as the kernel keeps of a process' name (TASK_COMM_LEN without its end).
constexpr std::size_t longest_process_name = 15;

constexpr std::array<std::string_view, 9> common_keys{
    "kind", "name", "interval", "timeout", "jitter", "rise", "fall", "weight", "fatal"};

/// The keys that only some kinds know.
constexpr std::array<std::array<std::string_view, 7>, check_kinds.size()> own_keys{
    {{"process", "pid_file"},
     {"target"},
     {"target", "user", "password_file", "query", "tls", "ca_file"},
     {"url", "user", "password_file", "status", "contains"},
     {"command", "user", "warning_is_up"}}};

Words keys_of(std::size_t kind) {
    Words keys(common_keys.begin(), common_keys.end());
    for (const std::string_view key : own_keys[kind]) {
        if (!key.empty()) keys.push_back(key);
    }
    return keys;
}

/// What to say of a key that only other kinds know.
std::string why_not_here(std::size_t kind, std::string_view key) {
    std::string others;
    for (std::size_t other = 0; other < check_kinds.size(); ++other) {
        const auto& keys = own_keys[other];
        if (key.empty() || std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
        others += (others.empty() ? "" : ", ") + std::string(check_kinds[other]);
    }
    if (others.empty()) return {};
    return "has no meaning with kind: " + std::string(check_kinds[kind]) + " (it belongs to " +
           others + "); remove it";
}

class HealthReader {
  public:
    HealthReader(Report& report, const Config& config) : report_(report), config_(config) {}

    void read(const Value& item);
    std::vector<HealthCheck> take() { return std::move(checks_); }

  private:
    std::optional<std::size_t> read_kind(const Value& item);
    void read_times(const Section& section, health::CheckSpec& spec);
    void read_weight(const Section& section, health::CheckSpec& spec);
    void read_name(const Section& section, const std::string& subject, health::CheckSpec& spec);
    health::ProbeSpec read_process(const Section& section);
    health::ProbeSpec read_tcp(const Section& section);
    health::ProbeSpec read_mysql(const Section& section, HealthCheck& check);
    health::ProbeSpec read_http(const Section& section, HealthCheck& check);
    health::ProbeSpec read_own_command(const Section& section);
    Endpoint read_target(const Section& section);
    void read_account(const Section& section, std::string& user, HealthCheck& check);
    void warn_about(const Endpoint& target, Place place);

    Report& report_;
    const Config& config_;
    std::vector<HealthCheck> checks_;
    std::map<std::string, Place, std::less<>> names_;
};

std::optional<std::size_t> HealthReader::read_kind(const Value& item) {
    const auto at = std::find_if(item.entries.begin(), item.entries.end(),
                                 [](const Entry& e) { return e.key == "kind"; });
    if (at == item.entries.end()) {
        report_.problem(item.place,
                        "health.kind is missing; write, for example: {kind: mysql, "
                        "target: 127.0.0.1:6446}");
        return std::nullopt;
    }
    const auto word = read_word(report_, at->value, "health.kind", check_kinds);
    if (word) return word;
    // A slip of the pen hides nothing: the rest is judged as what was probably meant.
    const std::string_view meant = nearest_word(at->value.text, check_kinds);
    const auto found = std::find(check_kinds.begin(), check_kinds.end(), meant);
    if (found == check_kinds.end()) return std::nullopt;
    return static_cast<std::size_t>(found - check_kinds.begin());
}

void HealthReader::read(const Value& item) {
    if (!expect_map(report_, item, "a check of health", "{kind: mysql, target: 127.0.0.1:6446}")) {
        return;
    }
    const auto kind = read_kind(item);
    if (!kind) return;
    const Words keys = keys_of(*kind);
    const Section section(report_, item, "health", keys,
                          [&](std::string_view key) { return why_not_here(*kind, key); });
    HealthCheck check;
    switch (*kind) {
        case 0:
            check.spec.probe = read_process(section);
            break;
        case 1:
            check.spec.probe = read_tcp(section);
            break;
        case 2:
            check.spec.probe = read_mysql(section, check);
            break;
        case 3:
            check.spec.probe = read_http(section, check);
            break;
        default:
            check.spec.probe = read_own_command(section);
            break;
    }
    read_times(section, check.spec);
    read_weight(section, check.spec);
    const std::string subject = subject_of(check.spec.probe);
    read_name(section, subject.empty() ? "" : std::string(check_kinds[*kind]) + " " + subject,
              check.spec);
    checks_.push_back(std::move(check));
}

void HealthReader::read_times(const Section& section, health::CheckSpec& spec) {
    const auto read = [&](std::string_view key, Duration low, Duration high, Duration& out) {
        const Value* value = section.find(key);
        if (value == nullptr) return;
        out = read_duration(report_, *value, section.path(key), low, high).value_or(out);
    };
    read("interval", shortest, longest, spec.interval);
    spec.timeout = std::min<Duration>(spec.interval, seconds(1));
    spec.jitter = spec.interval / 10;
    read("timeout", shortest, longest, spec.timeout);
    read("jitter", Duration{}, spec.interval, spec.jitter);
    if (const Value* timeout = section.find("timeout"); timeout && spec.timeout > spec.interval) {
        report_.warning(timeout->place,
                        "health.timeout " + format_duration(spec.timeout) +
                            " is longer than the interval " + format_duration(spec.interval) +
                            ": one probe is under way at a time, so a check that hangs is asked "
                            "every " +
                            format_duration(spec.timeout) +
                            " only; lower it, or raise the interval");
    }
    const auto read_count = [&](std::string_view key, unsigned& out) {
        const Value* value = section.find(key);
        if (value == nullptr) return;
        out = static_cast<unsigned>(
            read_integer(report_, *value, section.path(key), 1, 60).value_or(out));
    };
    read_count("rise", spec.rise);
    read_count("fall", spec.fall);
}

void HealthReader::read_weight(const Section& section, health::CheckSpec& spec) {
    const Value* weight = section.find("weight");
    const Value* fatal = section.find("fatal");
    if (weight != nullptr && fatal != nullptr) {
        report_.problem(std::max(weight->place, fatal->place),
                        "health.weight and health.fatal exclude each other; keep one");
        return;
    }
    if (weight != nullptr) {
        spec.weight = static_cast<std::uint32_t>(
            read_integer(report_, *weight, "health.weight", 0, health::fatal_demotion - 1)
                .value_or(spec.weight));
    }
    if (fatal != nullptr && read_boolean(report_, *fatal, "health.fatal") == true) {
        spec.weight = health::fatal_demotion;
    }
}

/// A name is shown, logged and told to peers; it may be what the check asks: "tcp 192.0.2.1:3306".
void HealthReader::read_name(const Section& section, const std::string& subject,
                             health::CheckSpec& spec) {
    Place place = section.place();
    if (const Value* value = section.find("name")) {
        place = value->place;
        const auto text = read_text(report_, *value, "health.name");
        if (!text) return;
        const auto plain = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        };
        const bool good =
            text->size() <= longest_name && plain(text->front()) && text->back() != ' ' &&
            std::all_of(text->begin(), text->end(), [&](char c) {
                return plain(c) || std::string_view(" _.:/@[]-").find(c) != std::string_view::npos;
            });
        if (!good) {
            report_.problem(place,
                            "\"" + text->substr(0, longest_name) +
                                "\" cannot be a check's name; use 1 to 63 of A-Z a-z 0-9 _ "
                                ". : / @ [ ] - and blanks, and begin with a letter or digit");
            return;
        }
        spec.name = *text;
    } else {
        spec.name = subject.substr(0, longest_name);
    }
    if (spec.name.empty()) return;
    const auto [first, added] = names_.emplace(spec.name, place);
    if (!added) {
        report_.problem(place, "health: the name \"" + spec.name +
                                   "\" belongs to another check already (line " +
                                   std::to_string(first->second.line) +
                                   "); give this one a `name` of its own");
    }
}

health::ProbeSpec HealthReader::read_process(const Section& section) {
    health::ProcessProbe probe;
    const Value* file = section.find("pid_file");
    const Value* process =
        file == nullptr ? section.require("process", "process: haproxy") : section.find("process");
    if (file != nullptr) {
        probe.pid_file = read_file_path(report_, *file, "health.pid_file").value_or("");
    }
    if (process == nullptr) return probe;
    probe.process = read_text(report_, *process, "health.process").value_or("");
    if (const std::size_t slash = probe.process.rfind('/'); slash != std::string::npos) {
        report_.problem(process->place, "health.process: \"" + probe.process.substr(0, 64) +
                                            "\" is a path; write the name of the process, as `ps "
                                            "-e` shows it: " +
                                            probe.process.substr(slash + 1, 15));
    } else if (probe.process.size() > longest_process_name) {
        report_.problem(process->place,
                        "health.process: the kernel keeps 15 characters of a process' name; "
                        "write " +
                            probe.process.substr(0, longest_process_name));
    }
    return probe;
}

Endpoint HealthReader::read_target(const Section& section) {
    const Value* value = section.require("target", "target: 127.0.0.1:6446");
    if (value == nullptr) return {};
    const auto target = read_endpoint(report_, *value, "health.target");
    if (target) warn_about(*target, value->place);
    return target.value_or(Endpoint{});
}

/// A check is to ask the host that it runs on; the same file serves all of them.
void HealthReader::warn_about(const Endpoint& target, Place place) {
    const std::string address = target.address.to_string();
    const std::string remedy = "; write a loopback address: every host asks its own";
    for (const Node& node : config_.nodes) {
        if (std::find(node.addresses.begin(), node.addresses.end(), target.address) ==
            node.addresses.end()) {
            continue;
        }
        report_.warning(place, "health: " + address + " is " + node.name +
                                   "'s, so that every host judges itself by " + node.name + remedy);
    }
    const bool follows = config_.router.kind == RouterKind::supervised &&
                         config_.router.provider.start == router::StartWhen::leader;
    for (const Group& group : config_.groups) {
        const bool vip =
            std::any_of(group.addresses.begin(), group.addresses.end(),
                        [&](const IpPrefix& p) { return p.address == target.address; });
        if (!vip || follows) continue;
        report_.warning(place, "health: " + address +
                                   " is a VIP, so that every host judges itself by the leader" +
                                   remedy);
    }
}

health::ProbeSpec HealthReader::read_tcp(const Section& section) {
    return health::TcpProbe{read_target(section)};
}

void HealthReader::read_account(const Section& section, std::string& user, HealthCheck& check) {
    const Value* file = section.find("password_file");
    if (file != nullptr) {
        check.password_file = read_file_path(report_, *file, "health.password_file").value_or("");
    }
    const Value* name =
        file != nullptr ? section.require("user", "user: hamr") : section.find("user");
    if (name != nullptr) user = read_text(report_, *name, "health.user").value_or("");
}

health::ProbeSpec HealthReader::read_mysql(const Section& section, HealthCheck& check) {
    using Tls = health::MysqlProbe::Tls;
    health::MysqlProbe probe;
    probe.target = read_target(section);
    read_account(section, probe.user, check);
    const Value* query = section.find("query");
    if (query != nullptr) probe.query = read_text(report_, *query, "health.query").value_or("");
    const Value* tls = section.find("tls");
    if (tls != nullptr) {
        constexpr std::array<std::string_view, 3> words{"off", "required", "verified"};
        const auto word = read_word(report_, *tls, "health.tls", words);
        probe.tls = static_cast<Tls>(word.value_or(0));
    }
    const bool anonymous =
        section.find("user") == nullptr && section.find("password_file") == nullptr;
    for (const Value* value : {query, tls}) {
        if (value == nullptr || !anonymous || (value == tls && probe.tls == Tls::off)) continue;
        report_.problem(value->place, section.path(value == tls ? "tls" : "query") +
                                          " needs an account: without `user` nobody logs in");
    }
    const Value* ca = probe.tls == Tls::verified
                          ? section.require("ca_file", "ca_file: /etc/mysql/ca.pem")
                          : section.find("ca_file");
    if (ca != nullptr) {
        probe.ca_file = read_file_path(report_, *ca, "health.ca_file").value_or("");
        if (probe.tls != Tls::verified && (tls == nullptr || tls->kind == Value::Kind::scalar)) {
            report_.problem(ca->place,
                            "health.ca_file is used with tls: verified only; write that "
                            "too, or remove it");
        }
    }
    return probe;
}

health::ProbeSpec HealthReader::read_http(const Section& section, HealthCheck& check) {
    health::HttpProbe probe;
    const Value* url = section.require("url", "url: http://127.0.0.1:8404/health");
    if (url != nullptr) {
        if (const auto parts = read_url(report_, *url, "health.url")) {
            probe.target = parts->target;
            probe.host = parts->host;
            probe.path = parts->path;
            warn_about(probe.target, url->place);
        }
    }
    read_account(section, probe.user, check);
    if (const Value* status = section.find("status")) {
        probe.status = static_cast<unsigned>(
            read_integer(report_, *status, "health.status", 100, 599).value_or(0));
    }
    if (const Value* contains = section.find("contains")) {
        probe.contains = read_text(report_, *contains, "health.contains").value_or("");
    }
    return probe;
}

health::ProbeSpec HealthReader::read_own_command(const Section& section) {
    health::CommandProbe probe;
    if (const Value* command =
            section.require("command", "command: [/usr/lib/nagios/plugins/check_load]")) {
        probe.argv = read_command(report_, *command, "health.command");
    }
    if (const Value* user = section.find("user")) {
        probe.user = read_user(report_, *user, "health.user");
    }
    if (const Value* warning = section.find("warning_is_up")) {
        probe.warning_is_up =
            read_boolean(report_, *warning, "health.warning_is_up").value_or(false);
    }
    return probe;
}

}  // namespace

std::vector<HealthCheck> read_health(Report& report, const Section& top, const Config& config) {
    const Value* value = top.find("health");
    if (value == nullptr) return {};
    if (value->kind != Value::Kind::list) {
        report.problem(value->place, "health must be a list of checks, not " +
                                         std::string(value->kind_name()) +
                                         "; write, for example: health: [{kind: mysql, target: "
                                         "127.0.0.1:6446}]");
        return {};
    }
    HealthReader reader(report, config);
    read_list(report, *value, "health", limits::checks,
              [&](const Value& item) { reader.read(item); });
    std::vector<HealthCheck> checks = reader.take();
    const bool only_processes =
        !checks.empty() && std::all_of(checks.begin(), checks.end(), [](const HealthCheck& c) {
            return std::holds_alternative<health::ProcessProbe>(c.spec.probe);
        });
    if (only_processes && config.router.kind == RouterKind::supervised) {
        report.warning(value->place,
                       "health has checks of kind process only: a router that runs and serves "
                       "nobody goes unseen; add one of kind mysql");
    }
    return checks;
}

}  // namespace hamr::config
