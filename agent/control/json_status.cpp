// SPDX-License-Identifier: GPL-2.0-or-later
// Status and history.
#include "agent/control/json.hpp"
#include "agent/control/json_text.hpp"

namespace hamr::control {

namespace {

constexpr std::array<std::string_view, 5> basic_drops{"bad_signature", "replayed", "wrong_cluster",
                                                      "unknown_node", "malformed"};

json::value to_value(const GroupStatus& group) {
    json::array addresses;
    for (const std::string& address : group.addresses) addresses.emplace_back(address);
    return json::object{{"addresses", std::move(addresses)},
                        {"state", to_string(group.state)},
                        {"leader", or_null(group.leader)},
                        {"term", group.term},
                        {"since", time_or_null(group.since)},
                        {"reason", group.reason},
                        {"lease_ms", milliseconds(group.lease_ms)},
                        {"votes", or_null(group.votes)},
                        {"needed", group.needed}};
}

json::value to_value(const NodeStatus& node) {
    json::array paths;
    for (const PathStatus& path : node.paths) {
        paths.push_back(json::object{{"own", path.own},
                                     {"peer", path.peer},
                                     {"last_heard_ms", milliseconds(path.last_heard_ms)}});
    }
    json::object object{{"role", to_string(node.role)},
                        {"state", to_string(node.state)},
                        {"demotion", node.demotion},
                        {"last_heard_ms", milliseconds(node.last_heard_ms)},
                        {"drained", node.drained}};
    if (!paths.empty()) object["paths"] = std::move(paths);
    if (!node.differs.empty()) {
        object["differs"] = json::array(node.differs.begin(), node.differs.end());
    }
    return object;
}

json::value to_value(const ProcessStatus& process) {
    return json::object{{"state", process.state},
                        {"unit", process.unit},
                        {"pid", process.pid},
                        {"since", time_or_null(process.since)},
                        {"restarts", process.restarts},
                        {"last_exit", process.last_exit},
                        {"next_start_ms", milliseconds(process.next_start_ms)},
                        {"adopted", process.adopted}};
}

json::value to_value(const FlowsStatus& flows) {
    json::array streams;
    for (const FlowStreamStatus& stream : flows.streams) {
        streams.push_back(json::object{{"peer", stream.peer},
                                       {"state", stream.state},
                                       {"lag_ms", milliseconds(stream.lag_ms)},
                                       {"delay_ms", milliseconds(stream.delay_ms)},
                                       {"resyncs", stream.resyncs}});
    }
    return json::object{{"own", flows.own},
                        {"replicas", flows.replicas},
                        {"streams", std::move(streams)},
                        {"missed", flows.missed},
                        {"refused", flows.refused},
                        {"waiting", flows.waiting},
                        {"entries", flows.entries},
                        {"most_entries", flows.most_entries},
                        {"dropped", flows.dropped}};
}

json::value to_value(const RouterStatus& router) {
    json::array backends;
    for (const BackendStatus& backend : router.backends) {
        backends.push_back(json::object{{"address", backend.address},
                                        {"role", to_string(backend.role)},
                                        {"state", to_string(backend.state)},
                                        {"topology", backend.topology},
                                        {"note", backend.note},
                                        {"draining", backend.draining},
                                        {"flows", backend.flows}});
    }
    json::object object{{"kind", router.kind},
                        {"state", to_string(router.state)},
                        {"flows", router.flows},
                        {"reason", router.reason},
                        {"backends", std::move(backends)}};
    if (router.process) object["process"] = to_value(*router.process);
    return object;
}

json::value to_value(const CheckStatus& check) {
    return json::object{{"name", check.name},
                        {"kind", check.kind},
                        {"state", to_string(check.state)},
                        {"weight", check.weight},
                        {"fatal", check.fatal},
                        {"output", check.output},
                        {"since", time_or_null(check.since)},
                        {"flaps", check.flaps}};
}

json::value to_value(const DrainStatus& drain) {
    return json::object{{"state", to_string(drain.state)},
                        {"connections", drain.connections},
                        {"left_ms", milliseconds(drain.left_ms)},
                        {"note", drain.note}};
}

json::value to_value(const HistoryEntry& entry) {
    json::object object{{"time", format_time(entry.time)},
                        {"node", entry.node},
                        {"group", entry.group},
                        {"from", entry.from},
                        {"to", entry.to},
                        {"reason", entry.reason},
                        {"term", entry.term}};
    if (!entry.stages_ms.empty()) {
        json::object stages;
        for (const auto& [stage, ms] : entry.stages_ms) stages[stage] = milliseconds(ms);
        object["stages_ms"] = std::move(stages);
    }
    return object;
}

constexpr std::array group_states{GroupState::leader,  GroupState::follower, GroupState::candidate,
                                  GroupState::witness, GroupState::drained,  GroupState::starting};
constexpr std::array node_roles{NodeRole::router, NodeRole::witness};
constexpr std::array node_states{NodeState::alive, NodeState::silent, NodeState::never_heard};
constexpr std::array router_states{RouterState::serving, RouterState::degraded, RouterState::failed,
                                   RouterState::off};
constexpr std::array backend_roles{BackendRole::primary, BackendRole::secondary,
                                   BackendRole::unknown};
constexpr std::array backend_states{BackendState::up, BackendState::down, BackendState::draining};
constexpr std::array check_states{CheckState::unknown, CheckState::up, CheckState::down,
                                  CheckState::paused};
constexpr std::array drain_states{DrainStatus::State::none, DrainStatus::State::moving,
                                  DrainStatus::State::finishing, DrainStatus::State::drained};

GroupStatus read_group(std::string name, const json::value& value, std::string& error) {
    GroupStatus group;
    const Reader reader(value, "group " + name, error);
    group.name = std::move(name);
    reader.each_item("addresses", [&](const json::value& item) {
        if (const json::string* text = item.if_string()) {
            group.addresses.emplace_back(text->data(), text->size());
        }
    });
    reader.word("state", group_states, group.state);
    reader.optional_text("leader", group.leader);
    reader.number("term", group.term);
    reader.time("since", group.since);
    reader.text("reason", group.reason);
    reader.optional_number("lease_ms", group.lease_ms);
    reader.optional_number("votes", group.votes);
    reader.number("needed", group.needed);
    return group;
}

NodeStatus read_node(std::string name, const json::value& value, std::string& error) {
    NodeStatus node;
    const Reader reader(value, "node " + name, error);
    node.name = std::move(name);
    reader.word("role", node_roles, node.role);
    reader.word("state", node_states, node.state);
    reader.number("demotion", node.demotion);
    reader.optional_number("last_heard_ms", node.last_heard_ms);
    reader.boolean("drained", node.drained);
    reader.each_item("paths", [&](const json::value& item) {
        const Reader fields(item, "path", error);
        PathStatus& path = node.paths.emplace_back();
        fields.text("own", path.own);
        fields.text("peer", path.peer);
        fields.optional_number("last_heard_ms", path.last_heard_ms);
    });
    reader.each_item("differs", [&](const json::value& item) {
        if (const json::string* each = item.if_string()) {
            node.differs.emplace_back(each->data(), each->size());
        }
    });
    return node;
}

ProcessStatus read_process(const json::value& value, std::string& error) {
    ProcessStatus process;
    const Reader reader(value, "process", error);
    reader.text("state", process.state);
    reader.text("unit", process.unit);
    reader.number("pid", process.pid);
    reader.time("since", process.since);
    reader.number("restarts", process.restarts);
    reader.text("last_exit", process.last_exit);
    reader.optional_number("next_start_ms", process.next_start_ms);
    reader.boolean("adopted", process.adopted);
    return process;
}

RouterStatus read_router(const json::value& value, std::string& error) {
    RouterStatus router;
    const Reader reader(value, "router", error);
    reader.text("kind", router.kind);
    reader.word("state", router_states, router.state);
    reader.number("flows", router.flows);
    reader.text("reason", router.reason);
    reader.each_item("backends", [&](const json::value& item) {
        const Reader fields(item, "backend", error);
        BackendStatus& backend = router.backends.emplace_back();
        fields.text("address", backend.address);
        fields.word("role", backend_roles, backend.role);
        fields.word("state", backend_states, backend.state);
        fields.text("topology", backend.topology);
        fields.text("note", backend.note);
        fields.boolean("draining", backend.draining);
        fields.number("flows", backend.flows);
    });
    if (reader.has("process")) router.process = read_process(*reader.find("process"), error);
    return router;
}

/// A time in milliseconds that is left out when it is not known.
double read_ms(const Reader& reader, std::string_view key) {
    std::optional<double> ms;
    reader.optional_number(key, ms);
    return ms.value_or(0);
}

FlowsStatus read_flows(const json::value& value, std::string& error) {
    FlowsStatus flows;
    const Reader reader(value, "flows", error);
    reader.number("own", flows.own);
    reader.number("replicas", flows.replicas);
    reader.each_item("streams", [&](const json::value& item) {
        const Reader fields(item, "stream", error);
        FlowStreamStatus& stream = flows.streams.emplace_back();
        fields.text("peer", stream.peer);
        fields.text("state", stream.state);
        stream.lag_ms = read_ms(fields, "lag_ms");
        stream.delay_ms = read_ms(fields, "delay_ms");
        fields.number("resyncs", stream.resyncs);
    });
    reader.number("missed", flows.missed);
    reader.number("refused", flows.refused);
    reader.number("waiting", flows.waiting);
    reader.number("entries", flows.entries);
    reader.number("most_entries", flows.most_entries);
    reader.number("dropped", flows.dropped);
    return flows;
}

BeatStatus read_beats(const json::value& value, std::string& error) {
    BeatStatus beats;
    const Reader reader(value, "pulse", error);
    reader.number("gaps", beats.gaps);
    beats.p50_ms = read_ms(reader, "p50_ms");
    beats.p99_ms = read_ms(reader, "p99_ms");
    beats.max_ms = read_ms(reader, "max_ms");
    reader.number("moves", beats.moves);
    return beats;
}

CheckStatus read_check(const json::value& value, std::string& error) {
    CheckStatus check;
    const Reader reader(value, "check", error);
    reader.text("name", check.name);
    reader.text("kind", check.kind);
    reader.word("state", check_states, check.state);
    reader.number("weight", check.weight);
    reader.boolean("fatal", check.fatal);
    reader.text("output", check.output);
    reader.time("since", check.since);
    reader.number("flaps", check.flaps);
    return check;
}

DrainStatus read_drain(const json::value& value, std::string& error) {
    DrainStatus drain;
    const Reader reader(value, "drain", error);
    reader.word("state", drain_states, drain.state);
    reader.number("connections", drain.connections);
    reader.optional_number("left_ms", drain.left_ms);
    reader.text("note", drain.note);
    return drain;
}

HistoryEntry read_entry(const json::value& value, std::string& error) {
    HistoryEntry entry;
    const Reader reader(value, "history entry", error);
    std::optional<WallTime> time;
    reader.time("time", time);
    entry.time = time.value_or(WallTime{});
    reader.text("node", entry.node);
    reader.text("group", entry.group);
    reader.text("from", entry.from);
    reader.text("to", entry.to);
    reader.text("reason", entry.reason);
    reader.number("term", entry.term);
    reader.each_member("stages_ms", [&](std::string stage, const json::value& ms) {
        boost::system::error_code code;
        const double number = ms.to_number<double>(code);
        if (!code && !std::isnan(number)) entry.stages_ms.emplace_back(std::move(stage), number);
    });
    return entry;
}

}  // namespace

std::string to_json(const Status& status) {
    json::object groups;
    for (const GroupStatus& group : status.groups) groups[group.name] = to_value(group);
    json::object nodes;
    for (const NodeStatus& node : status.nodes) nodes[node.name] = to_value(node);
    json::object drops;
    for (const std::string_view reason : basic_drops) drops[reason] = 0;
    for (const auto& [reason, count] : status.drops) drops[reason] = count;
    json::array warnings;
    for (const Warning& warning : status.warnings) {
        warnings.push_back(json::object{{"what", warning.what}, {"remedy", warning.remedy}});
    }
    json::array checks;
    for (const CheckStatus& check : status.checks) checks.push_back(to_value(check));
    json::object object{{"cluster", status.cluster},        {"node", status.node},
                        {"version", status.version},        {"quorum", status.quorum},
                        {"groups", std::move(groups)},      {"nodes", std::move(nodes)},
                        {"router", to_value(status.router)}};
    if (status.flows) object["flows"] = to_value(*status.flows);
    if (status.started) object["started"] = time_or_null(status.started);
    object["checks"] = std::move(checks);
    object["drain"] = to_value(status.drain);
    if (status.beats.gaps > 0) {
        object["pulse"] = json::object{{"gaps", status.beats.gaps},
                                       {"p50_ms", milliseconds(status.beats.p50_ms)},
                                       {"p99_ms", milliseconds(status.beats.p99_ms)},
                                       {"max_ms", milliseconds(status.beats.max_ms)},
                                       {"moves", status.beats.moves}};
    }
    object["drops"] = std::move(drops);
    object["warnings"] = std::move(warnings);
    return write(object);
}

std::string to_json(const std::vector<HistoryEntry>& history) {
    json::array array;
    for (const HistoryEntry& entry : history) array.push_back(to_value(entry));
    return write(array);
}

Result<Status> parse_status(std::string_view text) {
    const auto value = parse_text(text);
    if (!value) return tl::unexpected(value.error());
    Status status;
    std::string error;
    const Reader reader(*value, "the status", error);
    reader.text("cluster", status.cluster, true);
    reader.text("node", status.node, true);
    reader.text("version", status.version);
    reader.time("started", status.started);
    reader.text("quorum", status.quorum);
    reader.each_member("groups", [&](std::string name, const json::value& group) {
        status.groups.push_back(read_group(std::move(name), group, error));
    });
    reader.each_member("nodes", [&](std::string name, const json::value& node) {
        status.nodes.push_back(read_node(std::move(name), node, error));
    });
    if (const json::value* router = reader.find("router")) {
        status.router = read_router(*router, error);
    }
    if (const json::value* flows = reader.find("flows")) status.flows = read_flows(*flows, error);
    reader.each_item("checks", [&](const json::value& check) {
        status.checks.push_back(read_check(check, error));
    });
    if (const json::value* drain = reader.find("drain")) status.drain = read_drain(*drain, error);
    if (const json::value* pulse = reader.find("pulse")) status.beats = read_beats(*pulse, error);
    reader.each_member("drops", [&](const std::string& reason, const json::value& count) {
        boost::system::error_code code;
        status.drops[reason] = count.to_number<std::uint64_t>(code);
    });
    reader.each_item("warnings", [&](const json::value& item) {
        const Reader fields(item, "warning", error);
        Warning& warning = status.warnings.emplace_back();
        fields.text("what", warning.what);
        fields.text("remedy", warning.remedy);
    });
    return finish(std::move(status), std::move(error));
}

Result<std::vector<HistoryEntry>> parse_history(std::string_view text) {
    const auto value = parse_text(text);
    if (!value) return tl::unexpected(value.error());
    const json::array* array = value->if_array();
    if (array == nullptr) return fail("the history is not a list");
    std::vector<HistoryEntry> history;
    std::string error;
    for (const json::value& item : *array) history.push_back(read_entry(item, error));
    return finish(std::move(history), std::move(error));
}

}  // namespace hamr::control
