// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/haproxy_file.hpp"

#include "router/providers/text.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace hamr::router {

namespace {

using Protocol = Listener::Protocol;

struct Word {
    std::string text;
    /// It names an environment variable, so that its text is not what HAProxy will see.
    bool unknown = false;
};

/// A line's words, as HAProxy's manual says under "quoting and escaping": a backslash, '…' and "…"
/// protect, variables count in "…" only, # begins a comment. Empty when a quote does not end.
std::vector<Word> words_of(std::string_view line) {
    std::vector<Word> words;
    Word word;
    bool begun = false;
    char quote = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
            word.text += line[++i];
            begun = true;
        } else if (quote != 0) {
            if (c == quote) {
                quote = 0;
            } else {
                word.unknown |= c == '$' && quote == '"';
                word.text += c;
            }
        } else if (c == '"' || c == '\'') {
            quote = c;
            begun = true;
        } else if (c == '#') {
            break;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            if (begun) words.push_back(std::exchange(word, {}));
            begun = false;
        } else {
            word.text += c;
            begun = true;
        }
    }
    if (quote != 0) return {};
    if (begun) words.push_back(std::move(word));
    return words;
}

constexpr std::array<std::string_view, 21> section_names{
    "global",      "defaults",    "frontend",  "backend", "listen", "userlist",    "peers",
    "resolvers",   "mailers",     "cache",     "program", "ring",   "http-errors", "fcgi-app",
    "log-forward", "log-profile", "crt-store", "traces",  "acme",   "crt-list",    "healthcheck"};

/// Checks that only another protocol's servers pass.
bool is_foreign_check(std::string_view option) {
    constexpr std::array<std::string_view, 6> checks{"redis-check", "pgsql-check",   "smtpchk",
                                                     "ldap-check",  "ssl-hello-chk", "spop-check"};
    return std::find(checks.begin(), checks.end(), option) != checks.end();
}

struct Section {
    enum class Kind { none, global, defaults, frontend, backend, listen };

    Kind kind = Kind::none;
    std::string name;
    Protocol mode = Protocol::mysql;
    /// A check or a condition says that this is not MySQL; backends pass it on to frontends.
    bool foreign = false;
    bool disabled = false;
    std::string default_backend;
    std::vector<std::pair<Endpoint, Protocol>> binds;
};

class Reader {
  public:
    HaproxyFile read(std::string_view text) {
        std::string_view line;
        while (next_line(text, line)) take(words_of(line));
        close();
        return result();
    }

  private:
    void take(const std::vector<Word>& words) {
        if (words.empty()) return;
        const std::string& first = words.front().text;
        if (first.starts_with('.')) return condition(first);
        if (std::find(section_names.begin(), section_names.end(), first) != section_names.end()) {
            close();
            if (depth_ == 0) open(words);
            return;
        }
        const std::string second = words.size() > 1 ? words[1].text : std::string();
        switch (section_.kind) {
            case Section::Kind::none:
            case Section::Kind::backend:
                if (first == "option" && is_foreign_check(second)) section_.foreign = true;
                return;
            case Section::Kind::global:
                return global(first, words);
            case Section::Kind::defaults:
            case Section::Kind::frontend:
            case Section::Kind::listen:
                return proxy(first, second, words);
        }
    }

    /// What depends on a condition may or may not hold.
    void condition(const std::string& word) {
        if (word == ".if") ++depth_;
        if (word == ".endif" && depth_ > 0) --depth_;
    }

    void open(const std::vector<Word>& words) {
        const std::string& kind = words.front().text;
        if (kind == "global") section_.kind = Section::Kind::global;
        if (kind == "defaults") section_.kind = Section::Kind::defaults;
        if (kind == "frontend") section_.kind = Section::Kind::frontend;
        if (kind == "backend") section_.kind = Section::Kind::backend;
        if (kind == "listen") section_.kind = Section::Kind::listen;
        const bool is_defaults = section_.kind == Section::Kind::defaults;
        std::size_t next = 1;
        if (words.size() > next && words[next].text != "from") section_.name = words[next++].text;
        // A section of defaults inherits only from one that it names; the others from the newest.
        if (words.size() > next + 1 && words[next].text == "from") {
            const auto found = named_.find(words[next + 1].text);
            inherit(found == named_.end() ? std::nullopt : std::optional(found->second));
        } else if (!is_defaults) {
            inherit(newest_);
        }
    }

    void inherit(const std::optional<Section>& from) {
        if (!from) return;
        section_.mode = from->mode;
        section_.foreign = from->foreign;
        section_.disabled = from->disabled;
        section_.default_backend = from->default_backend;
    }

    void close() {
        Section done = std::exchange(section_, {});
        switch (done.kind) {
            case Section::Kind::defaults:
                newest_ = done;
                if (!done.name.empty()) named_[done.name] = std::move(done);
                break;
            case Section::Kind::backend:
                if (done.foreign) foreign_backends_.insert(done.name);
                break;
            case Section::Kind::frontend:
            case Section::Kind::listen:
                proxies_.push_back(std::move(done));
                break;
            case Section::Kind::none:
            case Section::Kind::global:
                break;
        }
    }

    void global(const std::string& first, const std::vector<Word>& words) {
        if (first == "master-worker" && words.size() > 1) {
            file_.survives_its_worker |= words[1].text == "no-exit-on-failure";
        }
        if (depth_ > 0 || first != "stats" || words.size() < 3 || words[1].text != "socket") return;
        std::string_view path = words[2].text;
        if (path.starts_with("unix@")) path.remove_prefix(5);
        if (words[2].unknown || !path.starts_with('/')) return;
        bool is_admin = false;
        for (std::size_t i = 3; i + 1 < words.size(); ++i) {
            is_admin |= words[i].text == "level" && words[i + 1].text == "admin";
        }
        if (has_admin_ || (!is_admin && !file_.stats_socket.empty())) return;
        file_.stats_socket = std::string(path);
        has_admin_ = is_admin;
    }

    void proxy(const std::string& first, const std::string& second,
               const std::vector<Word>& words) {
        if (first == "mode") {
            section_.mode = depth_ == 0 && second == "tcp"    ? Protocol::mysql
                            : depth_ == 0 && second == "http" ? Protocol::http
                                                              : Protocol::other;
        } else if (first == "option" && is_foreign_check(second)) {
            section_.foreign = true;
        } else if (first == "disabled") {
            section_.disabled = true;
        } else if (first == "enabled" && depth_ == 0) {
            section_.disabled = false;
        } else if (first == "default_backend") {
            section_.default_backend = second;
        } else if (first == "bind" && depth_ == 0 && words.size() > 1 && !words[1].unknown) {
            bind(words);
        }
    }

    void bind(const std::vector<Word>& words) {
        bool plain = true;
        for (std::size_t i = 2; i < words.size(); ++i) {
            const std::string& option = words[i].text;
            // There the host's own addresses lead elsewhere.
            if (option == "interface" || option == "namespace") return;
            plain &= option != "ssl" && option != "accept-proxy" &&
                     option != "accept-netscaler-cip" && option != "proto";
        }
        for (const std::string_view one : split(words[1].text, ',')) add(one, plain);
    }

    void add(std::string_view text, bool plain) {
        const auto at = text.find('@');
        std::string_view host = at == std::string_view::npos ? text : text.substr(at + 1);
        const std::string_view family =
            at == std::string_view::npos ? std::string_view("") : text.substr(0, at);
        const bool wants_v4 = family == "ipv4" || family == "tcp4";
        const bool wants_v6 = family == "ipv6" || family == "tcp6";
        if (!family.empty() && !wants_v4 && !wants_v6 && family != "tcp") return;
        const auto colon = host.rfind(':');
        if (colon == std::string_view::npos || host.starts_with('/')) return;
        const std::string_view ports = host.substr(colon + 1);
        host = host.substr(0, colon);
        if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
            host = host.substr(1, host.size() - 2);
        }
        if (host.empty() || host == "*") host = wants_v6 ? "::" : "0.0.0.0";
        const auto address = IpAddress::parse(host);
        if (!address || (wants_v4 && !address->is_v4()) || (wants_v6 && address->is_v4())) return;
        const auto dash = ports.find('-');
        const auto first = parse_port(ports.substr(0, dash));
        const auto last =
            dash == std::string_view::npos ? first : parse_port(ports.substr(dash + 1));
        if (!first || !last) return;
        for (unsigned port = *first; port <= *last && total_ < max_listeners; ++port, ++total_) {
            const Endpoint endpoint{*address, static_cast<std::uint16_t>(port)};
            section_.binds.emplace_back(endpoint, plain ? Protocol::mysql : Protocol::other);
        }
    }

    [[nodiscard]] Protocol protocol_of(const Section& proxy, const Endpoint& bind,
                                       Protocol bound) const {
        if (bound == Protocol::other || proxy.mode != Protocol::mysql) {
            return bound == Protocol::other ? bound : proxy.mode;
        }
        // The Web's ports, passed through as they are.
        const bool web = bind.port == 80 || bind.port == 443;
        const bool foreign = proxy.foreign || foreign_backends_.count(proxy.default_backend) > 0;
        return web || foreign ? Protocol::other : Protocol::mysql;
    }

    HaproxyFile result() {
        for (const Section& proxy : proxies_) {
            if (proxy.disabled) continue;
            for (const auto& [endpoint, bound] : proxy.binds) {
                file_.listeners.push_back(
                    {proxy.name, endpoint, protocol_of(proxy, endpoint, bound)});
            }
        }
        return std::move(file_);
    }

    HaproxyFile file_;
    Section section_;
    std::optional<Section> newest_;
    std::map<std::string, Section> named_;
    std::vector<Section> proxies_;
    std::set<std::string> foreign_backends_;
    std::size_t total_ = 0;
    unsigned depth_ = 0;
    bool has_admin_ = false;
};

}  // namespace

HaproxyFile read_haproxy(std::string_view text) {
    return Reader().read(text);
}

}  // namespace hamr::router
