// SPDX-License-Identifier: GPL-2.0-or-later
// `router:`, in the order of the manual: the embedded router, then those that are supervised.
#include "agent/config/duration.hpp"
#include "agent/config/kinds.hpp"
#include "agent/config/parts.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace hamr::config {

namespace {

using router::ProviderKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Words = std::vector<std::string_view>;

constexpr Duration shortest_timeout = milliseconds(100);
constexpr Duration longest_timeout = std::chrono::minutes(10);
constexpr Duration longest_drain = std::chrono::hours(24);

/// The keys that each kind knows; none of them is required unless supervised() says so.
const Words& keys_of(std::size_t kind) {
    static const std::array<Words, router_kinds.size()> keys{
        Words{"kind", "backends", "monitor", "routes", "drain_timeout"},
        Words{"kind"},
        Words{"kind", "config", "program", "user", "arguments", "start", "start_timeout",
              "stop_timeout", "drain_timeout"},
        Words{"kind", "config", "program", "user", "arguments", "start", "start_timeout",
              "stop_timeout", "drain_timeout"},
        Words{"kind", "config", "program", "user", "arguments", "admin", "start", "start_timeout",
              "stop_timeout", "drain_timeout"},
        Words{"kind", "unit", "start", "start_timeout", "stop_timeout", "drain_timeout"},
        Words{"kind", "command", "reload_command", "user", "start", "start_timeout", "stop_timeout",
              "drain_timeout"}};
    return keys[kind];
}

/// What to say of a key that only other kinds know.
std::string why_not_here(std::size_t kind, std::string_view key) {
    std::string others;
    for (std::size_t other = 0; other < router_kinds.size(); ++other) {
        const Words& keys = keys_of(other);
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
        others += (others.empty() ? "" : ", ") + std::string(router_kinds[other]);
    }
    if (others.empty() && kind != 1) return {};
    std::string text = "has no meaning with kind: " + std::string(router_kinds[kind]);
    if (kind == 1) return text + "; remove it";
    const bool embedded_only = others == router_kinds[0] && kind >= first_supervised;
    return text + (embedded_only ? ", whose own configuration says that; remove it"
                                 : " (it belongs to " + others + "); remove it");
}

class RouterReader {
  public:
    RouterReader(Report& report, AddressBook& book) : report_(report), book_(book) {}

    Router read(const Value& value);

  private:
    std::optional<std::size_t> read_kind(const Value& router);
    void read_embedded(const Section& section);
    void read_monitor(const Section& section);
    void read_routes(const Value& value);
    void read_supervised(const Section& section, ProviderKind kind);
    void read_program(const Section& section, ProviderKind kind);
    void read_unit(const Section& section);
    void read_own_command(const Section& section);
    void read_admin(const Value& value);
    void read_times(const Section& section);

    Report& report_;
    AddressBook& book_;
    Router router_;
};

std::optional<std::size_t> RouterReader::read_kind(const Value& router) {
    const auto at = std::find_if(router.entries.begin(), router.entries.end(),
                                 [](const Entry& e) { return e.key == "kind"; });
    if (at == router.entries.end()) return 0;
    const auto word = read_word(report_, at->value, "router.kind", router_kinds);
    if (word) return word;
    // A slip of the pen hides nothing: the rest is judged as what was probably meant.
    const std::string_view meant = nearest_word(at->value.text, router_kinds);
    const auto found = std::find(router_kinds.begin(), router_kinds.end(), meant);
    if (found == router_kinds.end()) return std::nullopt;
    return static_cast<std::size_t>(found - router_kinds.begin());
}

Router RouterReader::read(const Value& value) {
    const auto kind = read_kind(value);
    if (!kind) return {};
    const Section section(report_, value, "router", keys_of(*kind),
                          [&](std::string_view key) { return why_not_here(*kind, key); });
    if (*kind == 0) {
        read_embedded(section);
    } else if (*kind == 1) {
        router_.kind = RouterKind::none;
    } else {
        router_.kind = RouterKind::supervised;
        read_supervised(section, static_cast<ProviderKind>(*kind - first_supervised));
    }
    return std::move(router_);
}

void RouterReader::read_embedded(const Section& section) {
    if (const Value* list = section.require("backends", "backends: [192.0.2.21:3306]")) {
        std::map<Endpoint, Place> seen;
        read_list(report_, *list, "router.backends", limits::backends, [&](const Value& item) {
            const auto backend = read_endpoint(report_, item, "router.backends");
            if (!backend) return;
            const auto [first, added] = seen.emplace(*backend, item.place);
            if (!added) {
                report_.problem(item.place, "router.backends: " + backend->to_string() +
                                                " is listed twice, first in line " +
                                                std::to_string(first->second.line) + "; keep one");
                return;
            }
            book_.expect_no_vip(backend->address, "backend " + backend->to_string(), item.place);
            router_.backends.push_back(*backend);
        });
    }
    read_monitor(section);
    if (const Value* routes = section.find("routes")) {
        read_routes(*routes);
    } else {
        router_.routes = {{"rw", 6446, RouteTarget::primary}, {"ro", 6447, RouteTarget::secondary}};
    }
    read_times(section);
}

void RouterReader::read_monitor(const Section& section) {
    constexpr std::string_view example =
        "monitor: {user: hamr, password_file: /etc/hamr/monitor.password}";
    const Value* value = section.find("monitor");
    if (value == nullptr) {
        report_.warning(section.place(),
                        "router.monitor is missing: roles cannot be known without an account, the "
                        "first backend that answers counts as the primary; write, for example: " +
                            std::string(example));
        return;
    }
    if (!expect_map(report_, *value, "router.monitor", example)) return;
    const Section monitor(report_, *value, "router.monitor",
                          {"user", "password_file", "interval", "timeout"});
    Monitor& out = router_.monitor;
    if (const Value* user = monitor.require("user", "user: hamr")) {
        out.user = read_text(report_, *user, "router.monitor.user").value_or("");
    }
    if (const Value* file = monitor.find("password_file")) {
        out.password_file =
            read_file_path(report_, *file, "router.monitor.password_file").value_or("");
    }
    if (const Value* interval = monitor.find("interval")) {
        out.interval = read_duration(report_, *interval, "router.monitor.interval",
                                     milliseconds(10), seconds(60))
                           .value_or(out.interval);
        out.timeout = std::max<Duration>(out.interval, milliseconds(500));
    }
    if (const Value* timeout = monitor.find("timeout")) {
        out.timeout = read_duration(report_, *timeout, "router.monitor.timeout", milliseconds(10),
                                    seconds(60))
                          .value_or(out.timeout);
    }
}

void RouterReader::read_routes(const Value& value) {
    constexpr std::string_view example = "routes: {rw: {port: 6446, to: primary}}";
    if (!expect_map(report_, value, "router.routes", example)) return;
    if (value.entries.empty() || value.entries.size() > limits::routes) {
        report_.problem(value.place, "router.routes must have 1 to " +
                                         std::to_string(limits::routes) + " routes, not " +
                                         std::to_string(value.entries.size()));
        return;
    }
    std::map<std::uint16_t, std::string> ports;
    for (const Entry* entry : distinct_entries(report_, value)) {
        if (!check_name(report_, entry->place, entry->key, "a route's name")) continue;
        const std::string path = "router.routes." + entry->key;
        if (!expect_map(report_, entry->value, path, "{port: 6446, to: primary}")) continue;
        const Section section(report_, entry->value, path, {"port", "to"});
        Route route{entry->key, 0, RouteTarget::primary};
        if (const Value* port = section.require("port", "port: 6446")) {
            const auto number = read_integer(report_, *port, path + ".port", 1, 65535);
            route.port = static_cast<std::uint16_t>(number.value_or(0));
            const auto [first, added] = ports.emplace(route.port, route.name);
            if (number && !added) {
                report_.problem(port->place, path + ".port: " + std::to_string(route.port) +
                                                 " is already the port of route " + first->second +
                                                 "; give each its own");
            }
        }
        if (const Value* to = section.require("to", "to: primary")) {
            constexpr std::array<std::string_view, 2> words{"primary", "secondary"};
            const auto word = read_word(report_, *to, path + ".to", words);
            route.to = word == 1U ? RouteTarget::secondary : RouteTarget::primary;
        }
        router_.routes.push_back(std::move(route));
    }
}

void RouterReader::read_supervised(const Section& section, ProviderKind kind) {
    router::ProviderConfig& out = router_.provider;
    out.kind = kind;
    switch (kind) {
        case ProviderKind::mysqlrouter:
            out.config = "/etc/mysqlrouter/mysqlrouter.conf";
            break;
        case ProviderKind::haproxy:
            out.config = "/etc/haproxy/haproxy.cfg";
            break;
        case ProviderKind::proxysql:
            out.config = "/etc/proxysql.cnf";
            break;
        case ProviderKind::systemd:
            read_unit(section);
            break;
        case ProviderKind::command:
            read_own_command(section);
            break;
    }
    read_program(section, kind);
    if (const Value* admin = section.find("admin"); admin != nullptr) {
        if (kind == ProviderKind::proxysql) read_admin(*admin);
    }
    if (const Value* start = section.find("start")) {
        constexpr std::array<std::string_view, 2> words{"always", "leader"};
        const auto word = read_word(report_, *start, "router.start", words);
        out.start = word == 1U ? router::StartWhen::leader : router::StartWhen::always;
    }
    read_times(section);
}

void RouterReader::read_program(const Section& section, ProviderKind kind) {
    // Where a kind has no such key, its presence has been reported already.
    router::ProviderConfig& out = router_.provider;
    const bool own = kind != ProviderKind::systemd && kind != ProviderKind::command;
    if (const Value* file = section.find("config"); file != nullptr && own) {
        out.config = read_file_path(report_, *file, "router.config").value_or("");
    }
    if (const Value* program = section.find("program"); program != nullptr && own) {
        out.program = read_file_path(report_, *program, "router.program").value_or("");
    }
    if (const Value* arguments = section.find("arguments"); arguments != nullptr && own) {
        out.arguments = read_arguments(report_, *arguments, "router.arguments");
    }
    if (const Value* user = section.find("user"); user && kind != ProviderKind::systemd) {
        out.user = read_user(report_, *user, "router.user");
    }
}

void RouterReader::read_unit(const Section& section) {
    const Value* value = section.require("unit", "unit: haproxy.service");
    if (value == nullptr) return;
    const auto text = read_text(report_, *value, "router.unit");
    if (!text) return;
    constexpr std::string_view suffix = ".service";
    constexpr std::string_view allowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";
    const bool plain = text->find_first_not_of(allowed) == std::string::npos;
    if (plain && text->size() > suffix.size() && text->ends_with(suffix)) {
        router_.provider.unit = *text;
        return;
    }
    const bool bare = plain && text->find('.') == std::string::npos;
    report_.problem(value->place, "router.unit: \"" + text->substr(0, 64) + "\" is not a service" +
                                      (bare ? "; write " + *text + std::string(suffix)
                                            : "; write its name as `systemctl` shows it, as in "
                                              "haproxy.service"));
}

void RouterReader::read_own_command(const Section& section) {
    router::ProviderConfig& out = router_.provider;
    if (const Value* command =
            section.require("command", "command: [/usr/sbin/my-router, --foreground]")) {
        out.command = read_command(report_, *command, "router.command");
    }
    if (const Value* command = section.find("reload_command")) {
        out.reload_command = read_command(report_, *command, "router.reload_command");
    }
}

void RouterReader::read_admin(const Value& value) {
    constexpr std::string_view example =
        "admin: {address: 127.0.0.1:6032, user: admin, password_file: /etc/hamr/proxysql.password}";
    if (!expect_map(report_, value, "router.admin", example)) return;
    const Section section(report_, value, "router.admin", {"address", "user", "password_file"});
    router::AdminAccess& out = router_.provider.admin;
    if (const Value* address = section.find("address")) {
        out.address = read_endpoint(report_, *address, "router.admin.address");
    }
    const Value* file = section.find("password_file");
    if (file != nullptr) {
        router_.admin_password_file =
            read_file_path(report_, *file, "router.admin.password_file").value_or("");
    }
    const Value* user =
        file != nullptr ? section.require("user", "user: admin") : section.find("user");
    if (user != nullptr) {
        out.user = read_text(report_, *user, "router.admin.user").value_or("");
    }
}

void RouterReader::read_times(const Section& section) {
    const auto read = [&](std::string_view key, Duration low, Duration high, Duration& out) {
        const Value* value = section.find(key);
        if (value == nullptr) return;
        out = read_duration(report_, *value, section.path(key), low, high).value_or(out);
    };
    router::ProviderConfig& out = router_.provider;
    if (router_.kind == RouterKind::supervised) {
        read("start_timeout", shortest_timeout, longest_timeout, out.start_timeout);
        read("stop_timeout", shortest_timeout, longest_timeout, out.stop_timeout);
    }
    read("drain_timeout", Duration{}, longest_drain, out.drain_timeout);
}

}  // namespace

Router read_router(Report& report, const Section& top, AddressBook& book) {
    constexpr std::string_view example =
        "router: {backends: [192.0.2.21:3306], monitor: {user: hamr, password_file: "
        "/etc/hamr/monitor.password}}, or router: {kind: haproxy}, or router: {kind: none} for an "
        "address with nothing behind it";
    const Value* router = top.require("router", example);
    if (router == nullptr || !expect_map(report, *router, "router", example)) return {};
    return RouterReader(report, book).read(*router);
}

}  // namespace hamr::config
