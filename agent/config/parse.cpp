// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/addresses.hpp"
#include "agent/config/config.hpp"
#include "agent/config/duration.hpp"
#include "agent/config/parts.hpp"
#include "agent/config/reader.hpp"
#include "agent/config/tree.hpp"

#include <algorithm>
#include <array>

// From the tree to a Config, one function per part of the file, in the order of the manual.

namespace hamr::config {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ConfigReader {
  public:
    ConfigReader(Report& report, const Value& root) : report_(report), root_(root) {}

    Config read();

  private:
    void read_nodes(const Section& top);
    void read_node(const Entry& entry);
    void read_heartbeat(const Section& top);
    void read_quorum(const Section& top);
    void read_groups(const Section& top);
    void read_group(const std::string& name, const Value& value, const std::string& path);
    void read_prefer(const Value& value, const std::string& path, Group& group);
    void read_failback(const Value& value, const std::string& path, Group& group);
    void read_vips(const Value& value, const std::string& path, Group& group);
    void read_announce(const Section& top);
    void refuse_later(const Section& top, std::string_view key, std::string_view what);
    void warn_about_quorum(Place place);

    Report& report_;
    const Value& root_;
    AddressBook book_{report_};
    Config config_;
};

Config ConfigReader::read() {
    if (root_.kind == Value::Kind::null) {
        report_.problem({1, 1}, "the file is empty; a smallest example is in hamr.yaml(5)");
        return {};
    }
    if (!expect_map(report_, root_, "the file", "cluster: shop")) return {};
    const Section top(report_, root_, "",
                      {"cluster", "nodes", "key_file", "heartbeat", "quorum", "vip", "vips",
                       "router", "announce", "health", "http"});
    if (const Value* cluster = top.require("cluster", "cluster: shop")) {
        if (const auto name = read_text(report_, *cluster, "cluster")) {
            check_name(report_, cluster->place, *name, "the cluster's name");
            config_.cluster = *name;
        }
    }
    read_nodes(top);
    if (const Value* file = top.require("key_file", "key_file: /etc/hamr/hamr.key")) {
        config_.key_file = read_file_path(report_, *file, "key_file").value_or("");
    }
    read_heartbeat(top);
    read_quorum(top);
    read_groups(top);
    config_.router = read_router(report_, top, book_);
    read_announce(top);
    config_.health = read_health(report_, top, config_);
    refuse_later(top, "http", "the TCP listener");
    return std::move(config_);
}

void ConfigReader::refuse_later(const Section& top, std::string_view key, std::string_view what) {
    if (const Value* value = top.find(key)) {
        report_.problem(value->place, std::string(key) + ": " + std::string(what) +
                                          " is not in this version; remove this setting");
    }
}

void ConfigReader::read_nodes(const Section& top) {
    constexpr std::string_view example = "nodes: {router1: 192.0.2.11, router2: 192.0.2.12}";
    const Value* nodes = top.require("nodes", example);
    if (nodes == nullptr || !expect_map(report_, *nodes, "nodes", example)) return;
    for (const Entry* entry : distinct_entries(report_, *nodes)) read_node(*entry);

    const auto routers = std::count_if(config_.nodes.begin(), config_.nodes.end(),
                                       [](const Node& n) { return n.role == NodeRole::router; });
    if (nodes->entries.size() > limits::nodes) {
        report_.problem(nodes->place, "nodes has " + std::to_string(nodes->entries.size()) +
                                          " entries; at most " + std::to_string(limits::nodes) +
                                          " are supported");
    } else if (routers == 0) {
        report_.problem(nodes->place,
                        "nodes has no router; a witness votes but never leads, so "
                        "list at least one node with role: router");
    } else if (routers == 1) {
        report_.warning(nodes->place, "nodes has only one router: nobody can take over from it");
    }
}

void ConfigReader::read_node(const Entry& entry) {
    const std::string path = "nodes." + entry.key;
    if (!check_name(report_, entry.place, entry.key, "a node's name")) return;
    Node node{entry.key, {}, NodeRole::router};
    const auto read_one = [&](const Value& value) {
        const auto address = read_address(report_, value, path);
        if (!address) return;
        book_.add(*address, "node " + node.name, value.place);
        node.addresses.push_back(*address);
    };
    if (entry.value.kind == Value::Kind::map) {
        const Section section(report_, entry.value, path, {"addresses", "role"});
        if (const Value* role = section.find("role")) {
            constexpr std::array<std::string_view, 2> words{"router", "witness"};
            const auto word = read_word(report_, *role, path + ".role", words);
            node.role = word == 1U ? NodeRole::witness : NodeRole::router;
        }
        if (const Value* list = section.require("addresses", "addresses: [192.0.2.11]")) {
            read_list(report_, *list, path + ".addresses", limits::node_addresses, read_one);
        }
    } else {
        read_list(report_, entry.value, path, limits::node_addresses, read_one);
    }
    config_.nodes.push_back(std::move(node));
}

void ConfigReader::read_heartbeat(const Section& top) {
    const Value* heartbeat = top.find("heartbeat");
    constexpr std::string_view example = "heartbeat: {interval: 100ms, misses: 3, port: 8112}";
    if (heartbeat == nullptr || !expect_map(report_, *heartbeat, "heartbeat", example)) return;
    const Section section(report_, *heartbeat, "heartbeat", {"interval", "misses", "port"});
    Heartbeat& out = config_.heartbeat;
    Place place = heartbeat->place;
    if (const Value* value = section.find("misses")) {
        place = value->place;
        const auto misses = read_integer(report_, *value, "heartbeat.misses", 2, 20);
        out.misses = static_cast<int>(misses.value_or(out.misses));
    }
    if (const Value* value = section.find("interval")) {
        place = value->place;
        out.interval =
            read_duration(report_, *value, "heartbeat.interval", milliseconds(2), seconds(1))
                .value_or(milliseconds(2));
    }
    if (const Value* value = section.find("port")) {
        const auto port = read_integer(report_, *value, "heartbeat.port", 1, 65535);
        out.port = static_cast<std::uint16_t>(port.value_or(out.port));
    }
    if (config_.lease() > limits::lease) {
        report_.problem(place, "heartbeat: the lease interval × misses is " +
                                   format_duration(config_.lease()) + ", and at most " +
                                   format_duration(limits::lease) +
                                   " is supported; lower one of them");
    }
}

void ConfigReader::read_quorum(const Section& top) {
    Place place = top.place();
    if (const Value* quorum = top.find("quorum")) {
        place = quorum->place;
        constexpr std::array<std::string_view, 3> words{"auto", "majority", "none"};
        const auto word = read_word(report_, *quorum, "quorum", words);
        if (!word) return;
        constexpr std::array values{Quorum::automatic, Quorum::majority, Quorum::none};
        config_.quorum = values[*word];
    }
    if (!config_.nodes.empty()) warn_about_quorum(place);
}

void ConfigReader::warn_about_quorum(Place place) {
    const std::size_t voters = config_.nodes.size();
    const bool majority = config_.effective_mode() == Mode::majority;
    const bool witness = std::any_of(config_.nodes.begin(), config_.nodes.end(),
                                     [](const Node& n) { return n.role == NodeRole::witness; });
    if (majority && voters < 3) {
        report_.warning(place, "quorum majority with " + std::to_string(voters) +
                                   (voters == 1 ? " voter" : " voters") +
                                   ": when any of them is down, nobody leads; add a witness");
    } else if (config_.quorum == Quorum::automatic && !majority && voters == 2) {
        report_.warning(place,
                        "quorum auto means none with two voters: a partition between them "
                        "makes two leaders; add a third voter, for example a node with "
                        "role: witness");
    } else if (!majority && witness) {
        report_.warning(place, "quorum none asks no votes, so the witness has nothing to do");
    }
}

void ConfigReader::read_groups(const Section& top) {
    constexpr std::string_view example = "vip: 192.0.2.100/24";
    const Value* vip = top.find("vip");
    const Value* vips = top.find("vips");
    if (vip != nullptr && vips != nullptr) {
        report_.problem(std::max(vip->place, vips->place),
                        "vip and vips exclude each other; move the address of vip into vips");
    }
    if (vip == nullptr && vips == nullptr) {
        report_.problem(top.place(), "vip is missing; write, for example: " + std::string(example));
        return;
    }
    if (vip != nullptr) {
        read_group("default", *vip, "vip");
        return;
    }
    if (!expect_map(report_, *vips, "vips", "vips: {default: {addresses: [192.0.2.100/24]}}")) {
        return;
    }
    if (vips->entries.empty() || vips->entries.size() > limits::groups) {
        report_.problem(vips->place, "vips must have 1 to " + std::to_string(limits::groups) +
                                         " groups, not " + std::to_string(vips->entries.size()));
        return;
    }
    for (const Entry* entry : distinct_entries(report_, *vips)) {
        if (!check_name(report_, entry->place, entry->key, "a group's name")) continue;
        read_group(entry->key, entry->value, "vips." + entry->key);
    }
}

void ConfigReader::read_group(const std::string& name, const Value& value,
                              const std::string& path) {
    Group group;
    group.name = name;
    if (value.kind == Value::Kind::map) {
        const Section section(report_, value, path,
                              {"addresses", "interface", "prefer", "failback", "put_back"});
        if (const Value* interface = section.find("interface")) {
            group.interface = read_text(report_, *interface, path + ".interface");
            if (group.interface && (group.interface->size() > 15 ||
                                    group.interface->find_first_of("/ :") != std::string::npos)) {
                report_.problem(interface->place, path + ".interface: \"" + *group.interface +
                                                      "\" cannot be an interface's name; see "
                                                      "`ip link`");
            }
        }
        if (const Value* list = section.require("addresses", "addresses: [192.0.2.100/24]")) {
            read_vips(*list, path + ".addresses", group);
        }
        if (const Value* prefer = section.find("prefer")) read_prefer(*prefer, path, group);
        if (const Value* failback = section.find("failback")) {
            read_failback(*failback, path + ".failback", group);
        }
        if (const Value* put_back = section.find("put_back")) {
            group.put_back = read_boolean(report_, *put_back, path + ".put_back").value_or(true);
        }
    } else {
        read_vips(value, path, group);
    }
    for (const Node& node : config_.nodes) {
        const bool named =
            std::find(group.prefer.begin(), group.prefer.end(), node.name) != group.prefer.end();
        if (node.role == NodeRole::router && !named) group.prefer.push_back(node.name);
    }
    config_.groups.push_back(std::move(group));
}

void ConfigReader::read_vips(const Value& value, const std::string& path, Group& group) {
    read_list(report_, value, path, limits::group_addresses, [&](const Value& item) {
        const auto vip = read_vip(report_, item, path, group.interface.has_value());
        if (!vip) return;
        book_.add(vip->address, "group " + group.name, item.place);
        group.addresses.push_back(*vip);
    });
}

void ConfigReader::read_prefer(const Value& value, const std::string& group_path, Group& group) {
    const std::string path = group_path + ".prefer";
    read_list(report_, value, path, limits::nodes, [&](const Value& item) {
        const auto name = read_text(report_, item, path);
        if (!name) return;
        const Node* node = config_.find_node(*name);
        if (node == nullptr) {
            std::vector<std::string_view> names;
            for (const Node& each : config_.nodes) names.push_back(each.name);
            report_.problem(item.place, path + ": unknown node \"" + name->substr(0, 64) + "\"" +
                                            suggestion(*name, names, "the nodes are"));
        } else if (node->role == NodeRole::witness) {
            report_.problem(item.place, path + ": " + *name +
                                            " is a witness and never leads; list routers only");
        } else if (std::find(group.prefer.begin(), group.prefer.end(), *name) !=
                   group.prefer.end()) {
            report_.problem(item.place, path + ": " + *name + " is listed twice; keep one");
        } else {
            group.prefer.push_back(*name);
        }
    });
}

void ConfigReader::read_failback(const Value& value, const std::string& path, Group& group) {
    if (value.kind != Value::Kind::map) {
        const auto on = read_boolean(report_, value, path);
        group.failback.enabled = on.value_or(false);
        return;
    }
    const Section section(report_, value, path, {"after"});
    if (const Value* after = section.require("after", "failback: {after: 60s}")) {
        const auto delay =
            read_duration(report_, *after, path + ".after", Duration{}, std::chrono::hours(24));
        group.failback = {true, delay.value_or(Duration{})};
    }
}

void ConfigReader::read_announce(const Section& top) {
    const Value* announce = top.find("announce");
    if (announce == nullptr ||
        !expect_map(report_, *announce, "announce", "announce: {refresh: 60s}")) {
        return;
    }
    const Section section(report_, *announce, "announce", {"refresh"});
    if (const Value* refresh = section.find("refresh")) {
        config_.announce_refresh =
            read_duration(report_, *refresh, "announce.refresh", seconds(1), std::chrono::hours(1))
                .value_or(seconds(60));
    }
}

}  // namespace

Loaded parse(const std::string& text, const std::string& name) {
    Report report(name);
    if (text.size() > limits::file_bytes) {
        report.problem({}, "larger than 1 MiB; this is no configuration of HAMR");
    } else if (const Value root = parse_tree(text, report); !report.failed()) {
        Config config = ConfigReader(report, root).read();
        return {std::move(config), std::move(report).finish()};
    }
    return {{}, std::move(report).finish()};
}

}  // namespace hamr::config
