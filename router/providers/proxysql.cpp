// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/kinds.hpp"
#include "router/providers/text.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// ProxySQL, in the foreground. From its manual and sources; tried with 2.7.1.
//
// Its file   is libconfig's format, and counts at the first start only: then ProxySQL's own
// database
//            does, unless it is started with --initial. What the file says of listeners and the
//            admin port is believed all the same; `router.admin` corrects it.
// Reload     takes servers, users and query rules of the file into the database's memory and makes
//            them work. Rows that the file no longer has stay (ProxySQL only adds and replaces),
//            and so do variables, since the operator may have set them in the admin interface. It
//            also makes work what somebody has left half-edited in those three tables.
// Finish     PAUSE stops listening and lets sessions live; it does not end by itself.
// Admin      An account `admin` may only log in from this host, so the loopback address is used for
//            a wildcard.

namespace hamr::router {

namespace {

constexpr const char* reload_statements =
    "LOAD MYSQL SERVERS FROM CONFIG; LOAD MYSQL SERVERS TO RUNTIME; "
    "LOAD MYSQL USERS FROM CONFIG; LOAD MYSQL USERS TO RUNTIME; "
    "LOAD MYSQL QUERY RULES FROM CONFIG; LOAD MYSQL QUERY RULES TO RUNTIME";

/// The settings of libconfig's text that are strings in a group of the top level:
/// {"admin_variables.mysql_ifaces", "127.0.0.1:6032"}. Deeper ones are skipped.
class LibconfigReader {
  public:
    explicit LibconfigReader(std::string_view text) : text_(text) {}

    std::map<std::string, std::string> read() {
        while (skip_to_token()) token();
        return std::move(values_);
    }

  private:
    void token() {
        const char c = text_[at_];
        if (c == '"') return value(string());
        if (is_name(c)) return name();
        ++at_;
        if (c == '{' || c == '(' || c == '[') {
            if (++depth_ == 1) group_ = c == '{' ? name_ : std::string();
            name_.clear();
        } else if (c == '}' || c == ')' || c == ']') {
            if (depth_ > 0 && --depth_ == 0) group_.clear();
            name_.clear();
        }
    }

    /// Past blanks and comments; false at the end.
    bool skip_to_token() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            const bool slash = c == '/' && at_ + 1 < text_.size();
            if (c == '#' || (slash && text_[at_ + 1] == '/')) {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (slash && text_[at_ + 1] == '*') {
                const auto end = text_.find("*/", at_ + 2);
                at_ = end == std::string_view::npos ? text_.size() : end + 2;
            } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
                ++at_;
            } else {
                return true;
            }
        }
        return false;
    }

    /// Strings side by side are one.
    std::string string() {
        std::string result;
        do {
            for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
                if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
                result += text_[at_];
            }
            ++at_;
        } while (skip_to_token() && text_[at_] == '"');
        return result;
    }

    static bool is_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '*';
    }

    void name() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_name(text_[at_])) ++at_;
        name_ = std::string(text_.substr(begin, at_ - begin));
    }

    void value(std::string text) {
        if (depth_ == 1 && !group_.empty() && !name_.empty()) {
            values_[group_ + "." + name_] = std::move(text);
        }
        name_.clear();
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t depth_ = 0;
    std::string group_;
    std::string name_;
    std::map<std::string, std::string> values_;
};

/// "0.0.0.0:6033;/tmp/proxysql.sock": the TCP ones.
std::vector<Endpoint> interfaces_of(std::string_view text) {
    std::vector<Endpoint> result;
    for (const std::string_view one : split(text, ';')) {
        if (const auto endpoint = parse_listen(trim(one))) result.push_back(*endpoint);
    }
    return result;
}

Endpoint reachable(Endpoint endpoint) {
    if (!endpoint.address.is_unspecified()) return endpoint;
    endpoint.address = endpoint.address.is_v4()
                           ? IpAddress::v4({127, 0, 0, 1})
                           : IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    return endpoint;
}

/// The operator's words first, then the file's, then ProxySQL's defaults.
AdminAccess admin_of(const ProviderConfig& config, const std::string& interfaces,
                     const std::string& credentials) {
    AdminAccess admin = config.admin;
    if (!admin.address) {
        const auto endpoints = interfaces_of(interfaces);
        if (!endpoints.empty()) admin.address = reachable(endpoints.front());
    }
    if (!admin.user.empty()) return admin;
    for (const std::string_view one : split(credentials, ';')) {
        const auto colon = one.find(':');
        if (colon == std::string_view::npos || colon == 0) continue;
        const std::string_view password = trim(one).substr(trim(one).find(':') + 1);
        // A hash is not what one logs in with.
        if (password.starts_with('*')) continue;
        admin.user = std::string(trim(one.substr(0, colon)));
        admin.password = std::string(password);
        break;
    }
    return admin;
}

}  // namespace

Result<> plan_proxysql(const ProviderConfig& config, std::string_view file, Plan& plan) {
    plan.argv = {program_of(config, "/usr/bin/proxysql"), "-f", "-c", config_path(config)};
    plan.reload = AdminCommand{reload_statements};
    plan.finish = AdminCommand{"PROXYSQL PAUSE"};
    plan.resume = AdminCommand{"PROXYSQL RESUME"};
    plan.stop = SendSignal{signal_term};

    auto values = LibconfigReader(file).read();
    const auto value = [&](const std::string& name, const char* otherwise) {
        const auto found = values.find(name);
        return found == values.end() ? std::string(otherwise) : found->second;
    };
    for (const Endpoint& endpoint :
         interfaces_of(value("mysql_variables.interfaces", "0.0.0.0:6033"))) {
        add_listener(plan, {"mysql", endpoint, Listener::Protocol::mysql});
    }
    warn_without_listener(config, "TCP port in mysql_variables.interfaces", plan);
    plan.admin = admin_of(config, value("admin_variables.mysql_ifaces", "0.0.0.0:6032"),
                          value("admin_variables.admin_credentials", "admin:admin"));
    if (!plan.admin.address || plan.admin.user.empty()) {
        plan.warnings.push_back(
            config_path(config) +
            " tells no TCP port and readable password of the admin interface: write "
            "router.admin, or reload and drain cannot be asked for");
    }
    return {};
}

}  // namespace hamr::router
