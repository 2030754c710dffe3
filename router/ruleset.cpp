// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/ruleset.hpp"

#include "router/tickle_packet.hpp"

#include <algorithm>
#include <set>
#include <string_view>

namespace hamr::router {

namespace {

/// What differs between the two families in nft's language.
struct FamilyWords {
    Family family;
    const char* ip;       // ip, ip6
    const char* name;     // IPv4, IPv6
    const char* nfproto;  // ipv4, ipv6
    const char* vips;     // the set of VIPs
};

constexpr FamilyWords v4{Family::ipv4, "ip", "IPv4", "ipv4", "vip4"};
constexpr FamilyWords v6{Family::ipv6, "ip6", "IPv6", "ipv6", "vip6"};

template <class Items, class Text>
std::string join(const Items& items, Text text) {
    std::string joined;
    for (const auto& item : items) {
        if (!joined.empty()) joined += ", ";
        joined += text(item);
    }
    return joined;
}

std::string quoted(const std::string& interface) {
    return '"' + interface + '"';
}

/// The chain that leads to a backend: to_192_0_2_21_3306.
std::string chain_of(const Endpoint& backend) {
    std::string name = "to_" + backend.address.to_string() + "_" + std::to_string(backend.port);
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '.' || c == ':'; }, '_');
    return name;
}

std::vector<IpAddress> of_family(const std::vector<IpAddress>& vips, Family family) {
    std::vector<IpAddress> found;
    std::copy_if(vips.begin(), vips.end(), std::back_inserter(found),
                 [&](const IpAddress& vip) { return vip.family() == family; });
    return found;
}

std::vector<Endpoint> of_family(const std::vector<Endpoint>& backends, Family family) {
    std::vector<Endpoint> found;
    std::copy_if(backends.begin(), backends.end(), std::back_inserter(found),
                 [&](const Endpoint& backend) { return backend.address.family() == family; });
    return found;
}

/// The set of this family's VIPs.
std::string set_of(const FamilyWords& words, const std::vector<IpAddress>& all) {
    auto vips = of_family(all, words.family);
    std::sort(vips.begin(), vips.end());
    vips.erase(std::unique(vips.begin(), vips.end()), vips.end());
    return std::string("\tset ") + words.vips + " {\n\t\ttype " + words.nfproto +
           "_addr\n\t\telements = { " +
           join(vips, [](const IpAddress& a) { return a.to_string(); }) + " }\n\t}\n";
}

constexpr const char* replace_table =
    "add table inet hamr\n"
    "delete table inet hamr\n"
    "table inet hamr {\n"
    "\tcomment \"made by hamrd, which removes it when it stops\"\n";

class Renderer {
  public:
    explicit Renderer(const RulesetInput& input) : input_(input) {
        for (const FamilyWords& words : {v4, v6}) {
            if (!of_family(input.vips, words.family).empty()) families_.push_back(words);
        }
    }

    Ruleset render() {
        out_.text = replace_table;
        sets();
        strays();
        ways_out();
        routes();
        way_back();
        unserved();
        guard();
        redirects();
        line("}");
        return std::move(out_);
    }

  private:
    void line(std::string_view text) {
        out_.text += text;
        out_.text += '\n';
    }
    void open(const std::string& chain, std::string_view hook) {
        line("\tchain " + chain + " {");
        line("\t\ttype " + std::string(hook) + "; policy accept;");
    }
    void rule(const std::string& text) { line("\t\t" + text); }
    void close() { line("\t}"); }

    std::string ports() const {
        std::set<std::uint16_t> ports;
        for (const RoutePlan& route : input_.routes) ports.insert(route.port);
        return "{ " + join(ports, [](std::uint16_t port) { return std::to_string(port); }) + " }";
    }

    void sets() {
        for (const FamilyWords& words : families_) out_.text += set_of(words, input_.vips);
    }

    void strays() {
        line("\tchain stray {");
        rule("ct state invalid counter drop");
        rule("ct state new tcp flags & (fin | syn | rst | ack) != syn counter drop");
        close();
        open("strays", "filter hook prerouting priority mangle");
        for (const FamilyWords& words : families_) {
            rule(std::string(words.ip) + " daddr @" + words.vips + " meta l4proto tcp jump stray");
        }
        close();
    }

    /// One chain per backend that some route leads to: targets for the rules that choose.
    void ways_out() {
        std::set<Endpoint> backends;
        for (const RoutePlan& route : input_.routes) {
            backends.insert(route.backends.begin(), route.backends.end());
        }
        for (const FamilyWords& words : families_) {
            for (const Endpoint& backend : backends) {
                if (backend.address.family() != words.family) continue;
                line("\tchain " + chain_of(backend) + " {");
                rule(std::string("meta l4proto tcp dnat ") + words.ip + " to " +
                     backend.to_string());
                close();
            }
        }
    }

    void routes() {
        open("routes", "nat hook prerouting priority dstnat - 10");
        for (const FamilyWords& words : families_) {
            for (const RoutePlan& route : input_.routes) {
                const auto backends = of_family(route.backends, words.family);
                if (backends.empty()) {
                    if (!route.backends.empty()) warn(words, route);
                    continue;
                }
                rule(std::string(words.ip) + " daddr @" + words.vips + " tcp dport " +
                     std::to_string(route.port) + " " + choice(backends));
            }
        }
        close();
    }

    static std::string choice(const std::vector<Endpoint>& backends) {
        if (backends.size() == 1) return "goto " + chain_of(backends[0]);
        std::string text = "numgen inc mod " + std::to_string(backends.size()) + " vmap { ";
        std::size_t turn = 0;
        text += join(backends, [&](const Endpoint& backend) {
            return std::to_string(turn++) + " : goto " + chain_of(backend);
        });
        return text + " }";
    }

    void warn(const FamilyWords& words, const RoutePlan& route) {
        const auto vips = of_family(input_.vips, words.family);
        out_.warnings.push_back(
            {"route " + route.name + " of " +
                 join(vips, [](const IpAddress& vip) { return vip.to_string(); }) +
                 " leads nowhere: no backend has an " + words.name + " address",
             std::string("give the backends ") + words.name + " addresses, or drop that VIP"});
    }

    /// One rule per port: nft 1.0.6 prints a set of `ct original proto-dst` as something that it
    /// cannot read again.
    void way_back() {
        open("way_back", "nat hook postrouting priority srcnat - 10");
        std::set<std::uint16_t> ports;
        for (const RoutePlan& route : input_.routes) ports.insert(route.port);
        for (const FamilyWords& words : families_) {
            const std::string original = std::string("ct original ") + words.ip + " daddr";
            for (const std::uint16_t port : ports) {
                rule("meta l4proto tcp ct status dnat " + original + " @" + words.vips +
                     " ct original proto-dst " + std::to_string(port) + " snat " + words.ip +
                     " to " + original);
            }
        }
        close();
    }

    void unserved() {
        open("unserved", "filter hook input priority filter - 10");
        for (const FamilyWords& words : families_) {
            rule(std::string(words.ip) + " daddr @" + words.vips + " tcp dport " + ports() +
                 " counter reject with tcp reset");
        }
        close();
    }

    void guard() {
        if (input_.guard_v4.empty() && input_.guard_v6.empty()) return;
        open("guard", "filter hook forward priority filter - 10");
        rule("ct status dnat accept");
        for (const FamilyWords& words : {v4, v6}) {
            const auto& links = words.family == Family::ipv4 ? input_.guard_v4 : input_.guard_v6;
            if (links.empty()) continue;
            const bool every = std::find(links.begin(), links.end(), "*") != links.end();
            const std::string where = every ? "" : "iifname { " + join(links, quoted) + " } ";
            rule(std::string("meta nfproto ") + words.nfproto + " " + where + "counter drop");
        }
        close();
    }

    void redirects() {
        const bool has_v6 = !families_.empty() && families_.back().family == Family::ipv6;
        if (!has_v6 || input_.no_redirects.empty()) return;
        open("redirects", "filter hook output priority filter");
        rule("oifname { " + join(input_.no_redirects, quoted) + " } icmpv6 type nd-redirect drop");
        close();
    }

    const RulesetInput& input_;
    std::vector<FamilyWords> families_;
    Ruleset out_;
};

}  // namespace

Ruleset render(const RulesetInput& input) {
    if (input.vips.empty() || input.routes.empty()) return {render_removal(), {}};
    return Renderer(input).render();
}

std::string render_tracking(const std::vector<IpAddress>& vips) {
    if (vips.empty()) return render_removal();
    std::string sets;
    std::string untracked;
    std::string tracked;
    for (const FamilyWords& words : {v4, v6}) {
        if (of_family(vips, words.family).empty()) continue;
        const std::string ip = std::string("\t\t") + words.ip;
        sets += set_of(words, vips);
        untracked += ip + " saddr @" + words.vips +
                     " tcp flags & (fin | syn | rst | ack) == ack tcp window " +
                     std::to_string(tickle_window) + " tcp sequence { " +
                     std::to_string(tickle_sequence) + ", " + std::to_string(tickle_sequence_far) +
                     " } notrack\n";
        tracked += ip + " daddr @" + words.vips + " meta l4proto tcp ct state new counter\n";
    }
    return replace_table + sets +
           "\tchain untracked {\n\t\ttype filter hook output priority raw; policy accept;\n" +
           untracked + "\t}\n" +
           "\tchain tracked {\n\t\ttype filter hook input priority filter - 10; policy accept;\n" +
           tracked + "\t}\n}\n";
}

std::string render_removal() {
    return "add table inet hamr\ndelete table inet hamr\n";
}

}  // namespace hamr::router
