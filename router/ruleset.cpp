// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/ruleset.hpp"

#include "router/tickle_packet.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace hamr::router {

namespace {

/// What differs between the two families in nft's language.
struct FamilyWords {
    Family family;
    const char* ip;       // ip, ip6
    const char* name;     // IPv4, IPv6
    const char* nfproto;  // ipv4, ipv6
    const char* hops;     // how many routers a packet may still pass
    const char* vips;     // the set of VIPs
    const char* resets;   // the set of ways to be reset
    const char* held;     // the set of VIPs that this host has, or has had a moment ago
};

constexpr FamilyWords v4{Family::ipv4, "ip", "IPv4", "ipv4", "ip ttl", "vip4", "reset4", "held4"};
constexpr FamilyWords v6{Family::ipv6,   "ip6",  "IPv6",   "ipv6",
                         "ip6 hoplimit", "vip6", "reset6", "held6"};

constexpr const char* opens = "tcp flags & (fin | syn | rst | ack) == syn";

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

/// The type of this family's set of VIPs.
std::string vips_type(const FamilyWords& words) {
    return std::string("type ") + words.nfproto + "_addr";
}

/// The set of this family's VIPs.
std::string set_of(const FamilyWords& words, const std::vector<IpAddress>& all) {
    auto vips = of_family(all, words.family);
    std::sort(vips.begin(), vips.end());
    vips.erase(std::unique(vips.begin(), vips.end()), vips.end());
    return std::string("\tset ") + words.vips + " {\n\t\t" + vips_type(words) +
           "\n\t\telements = { " + join(vips, [](const IpAddress& a) { return a.to_string(); }) +
           " }\n\t}\n";
}

/// Packets of ours that are made to be answered, and that conntrack must not take for connections.
std::string untracked_tickles(const FamilyWords& words) {
    return std::string(words.ip) + " saddr @" + words.vips +
           " tcp flags & (fin | syn | rst | ack) == ack tcp window " +
           std::to_string(tickle_window) + " tcp sequence { " + std::to_string(tickle_sequence) +
           ", " + std::to_string(tickle_sequence_far) + " } notrack";
}

constexpr std::size_t resets_per_line = 100;
static_assert(resets_per_text % resets_per_line == 0);

std::string element(const Way& way) {
    return way.from.address.to_string() + " . " + std::to_string(way.from.port) + " . " +
           way.to.address.to_string() + " . " + std::to_string(way.to.port);
}

constexpr const char* table_begins =
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
        clear();
        out_.text += table_begins;
        sets();
        apart();
        strays();
        routes();
        way_back();
        unserved();
        hops();
        guard();
        output();
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

    /// Empties what is there but for the reset sets. Deleting the table would take them along.
    void clear() {
        line("add table inet hamr");
        for (const FamilyWords& words : families_) {
            const std::string set = std::string("set inet hamr ") + words.vips;
            line("add " + set + " { " + vips_type(words) + "; }");
            line("flush " + set);
        }
        line("flush table inet hamr");
    }

    void sets() {
        for (const FamilyWords& words : families_) {
            const std::string way = std::string(words.nfproto) + "_addr . inet_service";
            out_.text += set_of(words, input_.vips);
            line(std::string("\tset ") + words.resets + " {");
            rule("type " + way + " . " + way);
            rule("timeout " + std::to_string(reset_time.count()) + "s");
            close();
            line(std::string("\tset ") + words.held + " {");
            rule(vips_type(words));
            rule("size 4096");
            rule("flags dynamic,timeout");
            rule("timeout " + std::to_string(held_time.count()) + "ms");
            close();
        }
    }

    /// What goes to a VIP that another host has, from here or through here. What passes is not
    /// tracked: its entries would meet the flows' copies, and the copies would translate it, which
    /// only the other host may. That a VIP is here is noted a few times a second, not per packet.
    void apart() {
        const std::string zone = "ct zone set " + std::to_string(apart_zone);
        const std::string elsewhere = " fib daddr type != local ";
        open("apart_out", "filter hook output priority raw");
        for (const FamilyWords& words : families_) {
            rule(std::string(words.ip) + " daddr @" + words.vips + " meta l4proto tcp" + elsewhere +
                 zone);
        }
        close();
        open("apart", "filter hook prerouting priority raw");
        for (const FamilyWords& words : families_) {
            const std::string ip = words.ip;
            const std::string to_vip = ip + " daddr @" + words.vips + " ";
            rule(ip + " saddr @" + words.vips +
                 " meta l4proto tcp fib saddr type != local fib daddr type local " + zone);
            rule(to_vip + "limit rate 20/second fib daddr type local update @" + words.held +
                 " { " + ip + " daddr }");
            rule(to_vip + opens + elsewhere + "notrack");
            rule(to_vip + ip + " daddr != @" + words.held + " meta l4proto tcp" + elsewhere +
                 "notrack");
        }
        close();
    }

    void strays() {
        line("\tchain stray {");
        rule("ct state established return");
        rule("fib daddr type != local return");
        rule(std::string("ct state new ") + opens + " return");
        for (const FamilyWords& words : families_) {
            const std::string ip = words.ip;
            rule(ip + " saddr . tcp sport . " + ip + " daddr . tcp dport @" + words.resets +
                 " counter reject with tcp reset");
        }
        rule("ct state invalid,new counter drop");
        close();
        open("strays", "filter hook prerouting priority mangle");
        for (const FamilyWords& words : families_) {
            rule(std::string(words.ip) + " daddr @" + words.vips + " meta l4proto tcp jump stray");
        }
        close();
    }

    void routes() {
        line("\tchain choose {");
        for (const FamilyWords& words : families_) {
            for (const RoutePlan& route : input_.routes) {
                const auto backends = of_family(route.backends, words.family);
                if (backends.empty()) {
                    if (!route.backends.empty()) warn(words, route);
                    continue;
                }
                rule(std::string(words.ip) + " daddr @" + words.vips + " tcp dport " +
                     std::to_string(route.port) + " dnat " + words.ip + " " + choice(backends));
            }
        }
        close();
        // Names of priorities are of one hook each: in the output hook dstnat is -100.
        for (const auto& [chain, hook] : {std::pair("routes", "prerouting priority dstnat - 10"),
                                          std::pair("own", "output priority -110")}) {
            open(chain, std::string("nat hook ") + hook);
            rule("meta l4proto tcp fib daddr type local jump choose");
            close();
        }
    }

    static std::string choice(const std::vector<Endpoint>& backends) {
        if (backends.size() == 1) return "to " + backends[0].to_string();
        std::string text =
            "addr . port to numgen inc mod " + std::to_string(backends.size()) + " map { ";
        std::size_t turn = 0;
        text += join(backends, [&](const Endpoint& backend) {
            return std::to_string(turn++) + " : " + backend.address.to_string() + " . " +
                   std::to_string(backend.port);
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
        line("\tchain as_vip {");
        std::set<std::uint16_t> ports;
        for (const RoutePlan& route : input_.routes) ports.insert(route.port);
        for (const FamilyWords& words : families_) {
            const std::string original = std::string("ct original ") + words.ip + " daddr";
            for (const std::uint16_t port : ports) {
                rule("meta l4proto tcp " + original + " @" + words.vips +
                     " ct original proto-dst " + std::to_string(port) + " snat " + words.ip +
                     " to " + original);
            }
        }
        close();
        // In the input hook srcnat is 100.
        for (const auto& [chain, hook] : {std::pair("way_back", "postrouting priority srcnat - 10"),
                                          std::pair("way_in", "input priority 90")}) {
            open(chain, std::string("nat hook ") + hook);
            rule("ct status dnat jump as_vip");
            close();
        }
    }

    void unserved() {
        open("unserved", "filter hook input priority filter - 10");
        for (const FamilyWords& words : families_) {
            // No reset for a packet of a flow that passed before these rules stood, and NAT with
            // it.
            rule(std::string(words.ip) + " daddr @" + words.vips + " tcp dport " + ports() + " " +
                 opens + " counter reject with tcp reset");
        }
        close();
    }

    /// While nobody has the address, former leaders know it at one another, and would pass a packet
    /// to and fro until its last hop. What a leader translates gets its hops back: the backend may
    /// be far.
    void hops() {
        constexpr int to_the_leader = 4;
        open("hops", "filter hook forward priority mangle");
        for (const FamilyWords& words : families_) {
            const std::string hops = words.hops;
            const std::string few = std::to_string(to_the_leader);
            rule(std::string(words.ip) + " daddr @" + words.vips + " " + hops + " > " + few + " " +
                 hops + " set " + few);
            rule(hops + " <= " + few + " ct direction original ct status dnat " + hops + " set 64");
        }
        close();
    }

    void guard() {
        if (input_.guard_v4.empty() && input_.guard_v6.empty()) return;
        open("guard", "filter hook forward priority filter - 10");
        rule("ct status dnat accept");
        for (const FamilyWords& words : families_) {
            rule(std::string(words.ip) + " daddr @" + words.vips + " accept");
        }
        for (const FamilyWords& words : {v4, v6}) {
            const auto& links = words.family == Family::ipv4 ? input_.guard_v4 : input_.guard_v6;
            if (links.empty()) continue;
            const bool every = std::find(links.begin(), links.end(), "*") != links.end();
            const std::string where = every ? "" : "iifname { " + join(links, quoted) + " } ";
            rule(std::string("meta nfproto ") + words.nfproto + " " + where + "counter drop");
        }
        close();
    }

    void output() {
        open("untracked", "filter hook output priority raw");
        for (const FamilyWords& words : families_) rule(untracked_tickles(words));
        close();
        // Of a VIP itself, and of a backend on this host, whose address is translated later on.
        open("meant", "filter hook output priority mangle");
        const std::string marked =
            " tcp flags & rst == rst meta mark set " + std::to_string(reset_mark);
        for (const FamilyWords& words : families_) {
            const std::string ip = words.ip;
            rule(ip + " saddr @" + words.vips + marked);
            rule("ct original " + ip + " daddr @" + words.vips + marked);
        }
        close();
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
        sets += set_of(words, vips);
        untracked += "\t\t" + untracked_tickles(words) + "\n";
        tracked += std::string("\t\t") + words.ip + " daddr @" + words.vips +
                   " meta l4proto tcp ct state new counter\n";
    }
    return render_removal() + table_begins + sets +
           "\tchain untracked {\n\t\ttype filter hook output priority raw; policy accept;\n" +
           untracked + "\t}\n" +
           "\tchain tracked {\n\t\ttype filter hook input priority filter - 10; policy accept;\n" +
           tracked + "\t}\n}\n";
}

std::vector<std::string> render_resets(const std::vector<Way>& ways) {
    std::vector<std::string> texts;
    for (const FamilyWords& words : {v4, v6}) {
        std::size_t elements = 0;
        for (const Way& way : ways) {
            if (way.from.address.family() != words.family) continue;
            if (way.to.address.family() != words.family) continue;
            if (elements % resets_per_text == 0) texts.emplace_back();
            // A list costs nft half of what as many lines do; a line should remain readable.
            texts.back() += elements % resets_per_line == 0
                                ? std::string("add element inet hamr ") + words.resets + " { "
                                : ", ";
            texts.back() += element(way);
            if (++elements % resets_per_line == 0) texts.back() += " }\n";
        }
        if (elements % resets_per_line != 0) texts.back() += " }\n";
    }
    return texts;
}

std::string render_removal() {
    return "add table inet hamr\ndelete table inet hamr\n";
}

}  // namespace hamr::router
