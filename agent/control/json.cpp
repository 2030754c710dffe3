// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/control/json.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

#include <boost/json.hpp>

namespace hamr::control {

namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 5> basic_drops{"bad_signature", "replayed", "wrong_cluster",
                                                      "unknown_node", "malformed"};

/// Milliseconds to the microsecond; what is no number is null.
json::value milliseconds(double ms) {
    if (!std::isfinite(ms)) return nullptr;
    return std::round(ms * 1000) / 1000;
}

json::value milliseconds(const std::optional<double>& ms) {
    return ms ? milliseconds(*ms) : json::value(nullptr);
}

/// As json::serialize, but 24.5 instead of 2.45E1: people and grep read this too.
void write(const json::value& value, std::string& out) {
    std::string_view gap;
    if (const json::object* object = value.if_object()) {
        out += '{';
        for (const auto& member : *object) {
            out += std::exchange(gap, ",");
            out += json::serialize(json::string_view(member.key())) + ":";
            write(member.value(), out);
        }
        out += '}';
    } else if (const json::array* array = value.if_array()) {
        out += '[';
        for (const json::value& item : *array) {
            out += std::exchange(gap, ",");
            write(item, out);
        }
        out += ']';
    } else if (const double* number = value.if_double()) {
        std::array<char, 512> text{};
        const auto end = std::to_chars(text.data(), text.data() + text.size(), *number,
                                       std::chars_format::fixed);
        out.append(text.data(), end.ptr);
    } else {
        out += json::serialize(value);
    }
}

std::string write(const json::value& value) {
    std::string out;
    write(value, out);
    return out;
}

template <class T>
json::value or_null(const std::optional<T>& value) {
    if (!value) return nullptr;
    return json::value(*value);
}

json::value to_value(const GroupStatus& group) {
    json::array addresses;
    for (const std::string& address : group.addresses) addresses.emplace_back(address);
    return json::object{
        {"addresses", std::move(addresses)},
        {"state", to_string(group.state)},
        {"leader", or_null(group.leader)},
        {"term", group.term},
        {"since", group.since ? json::value(format_time(*group.since)) : json::value(nullptr)},
        {"reason", group.reason},
        {"lease_ms", milliseconds(group.lease_ms)},
        {"votes", or_null(group.votes)},
        {"needed", group.needed}};
}

json::value to_value(const NodeStatus& node) {
    return json::object{{"role", to_string(node.role)},
                        {"state", to_string(node.state)},
                        {"demotion", node.demotion},
                        {"last_heard_ms", milliseconds(node.last_heard_ms)},
                        {"drained", node.drained}};
}

json::value to_value(const RouterStatus& router) {
    json::array backends;
    for (const BackendStatus& backend : router.backends) {
        backends.push_back(json::object{{"address", backend.address},
                                        {"role", to_string(backend.role)},
                                        {"state", to_string(backend.state)},
                                        {"topology", backend.topology},
                                        {"note", backend.note}});
    }
    return json::object{{"kind", router.kind},
                        {"state", to_string(router.state)},
                        {"flows", router.flows},
                        {"reason", router.reason},
                        {"backends", std::move(backends)}};
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

/// Reads one object; the first thing that does not fit is kept as the error.
class Reader {
  public:
    Reader(const json::value& value, std::string what, std::string& error)
        : object_(value.if_object()), what_(std::move(what)), error_(error) {
        if (object_ == nullptr) note("is not an object");
    }

    [[nodiscard]] const json::value* find(std::string_view key) const {
        return object_ == nullptr ? nullptr : object_->if_contains(key);
    }

    void text(std::string_view key, std::string& out, bool required = false) const {
        const json::value* value = find(key);
        if (value == nullptr) {
            if (required) note("has no \"" + std::string(key) + "\"");
        } else if (const json::string* string = value->if_string()) {
            out.assign(string->data(), string->size());
        } else {
            wrong(key, "a string");
        }
    }

    template <class T>
    void number(std::string_view key, T& out) const {
        const json::value* value = find(key);
        if (value == nullptr) return;
        boost::system::error_code code;
        const T number = value->to_number<T>(code);
        if (code) {
            wrong(key, "a number in range");
        } else {
            out = number;
        }
    }

    void boolean(std::string_view key, bool& out) const {
        const json::value* value = find(key);
        if (value == nullptr) return;
        if (const bool* boolean = value->if_bool()) {
            out = *boolean;
        } else {
            wrong(key, "true or false");
        }
    }

    [[nodiscard]] bool has(std::string_view key) const {
        const json::value* value = find(key);
        return value != nullptr && !value->is_null();
    }

    void optional_text(std::string_view key, std::optional<std::string>& out) const {
        if (has(key)) text(key, out.emplace());
    }

    template <class T>
    void optional_number(std::string_view key, std::optional<T>& out) const {
        if (has(key)) number(key, out.emplace());
    }

    void time(std::string_view key, std::optional<WallTime>& out) const {
        if (!has(key)) return;
        std::string raw;
        text(key, raw);
        out = parse_time(raw);
        if (!out) wrong(key, "a time like 2026-11-20T06:00:00Z");
    }

    /// A word out of `values`; a word of a newer agent leaves the default.
    template <class E, std::size_t N>
    void word(std::string_view key, const std::array<E, N>& values, E& out) const {
        std::string raw;
        text(key, raw);
        for (const E value : values) {
            if (to_string(value) == raw) out = value;
        }
    }

    template <class F>
    void each_item(std::string_view key, F&& f) const {
        const json::value* value = find(key);
        if (value == nullptr) return;
        const json::array* array = value->if_array();
        if (array == nullptr) return wrong(key, "a list");
        for (const json::value& item : *array) f(item);
    }

    template <class F>
    void each_member(std::string_view key, F&& f) const {
        const json::value* value = find(key);
        if (value == nullptr) return;
        const json::object* object = value->if_object();
        if (object == nullptr) return wrong(key, "an object");
        for (const auto& member : *object) f(std::string(member.key()), member.value());
    }

    void refuse_unknown(std::span<const std::string_view> known) const {
        if (object_ == nullptr) return;
        for (const auto& member : *object_) {
            bool found = false;
            for (const std::string_view key : known) found = found || key == member.key();
            if (!found) note("has an unknown key \"" + std::string(member.key()) + "\"");
        }
    }

    void wrong(std::string_view key, std::string_view expected) const {
        note("\"" + std::string(key) + "\" is not " + std::string(expected));
    }

  private:
    void note(std::string message) const {
        if (error_.empty()) error_ = what_ + " " + std::move(message);
    }

    const json::object* object_;
    std::string what_;
    std::string& error_;
};

constexpr std::array group_states{GroupState::leader,  GroupState::follower, GroupState::candidate,
                                  GroupState::witness, GroupState::drained,  GroupState::starting};
constexpr std::array node_roles{NodeRole::router, NodeRole::witness};
constexpr std::array node_states{NodeState::alive, NodeState::silent, NodeState::never_heard};
constexpr std::array router_states{RouterState::serving, RouterState::degraded, RouterState::failed,
                                   RouterState::off};
constexpr std::array backend_roles{BackendRole::primary, BackendRole::secondary,
                                   BackendRole::unknown};
constexpr std::array backend_states{BackendState::up, BackendState::down, BackendState::draining};

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
    return node;
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
    });
    return router;
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
        if (!code) entry.stages_ms.emplace_back(std::move(stage), number);
    });
    return entry;
}

Result<json::value> parse_text(std::string_view text) {
    if (text.size() > max_json_bytes) return fail("JSON text is too long");
    boost::system::error_code code;
    json::value value = json::parse(text, code);
    if (code) return fail("not JSON: " + code.message());
    return value;
}

template <class T>
Result<T> finish(T value, std::string error) {
    if (!error.empty()) return fail(std::move(error));
    return value;
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
    return write(json::object{{"cluster", status.cluster},
                              {"node", status.node},
                              {"version", status.version},
                              {"quorum", status.quorum},
                              {"groups", std::move(groups)},
                              {"nodes", std::move(nodes)},
                              {"router", to_value(status.router)},
                              {"drops", std::move(drops)},
                              {"warnings", std::move(warnings)}});
}

std::string to_json(const std::vector<HistoryEntry>& history) {
    json::array array;
    for (const HistoryEntry& entry : history) array.push_back(to_value(entry));
    return write(array);
}

std::string to_json(const FailoverRequest& request) {
    json::object object;
    if (request.to) object["to"] = *request.to;
    if (request.group) object["group"] = *request.group;
    object["force"] = request.force;
    return write(object);
}

std::string to_json(const FailoverAnswer& answer) {
    if (answer.outcome != Outcome::done) return error_json(answer.message, answer.remedy);
    json::array moves;
    for (const Move& move : answer.moves) {
        moves.push_back(json::object{{"group", move.group},
                                     {"from", move.from},
                                     {"to", move.to},
                                     {"ms", milliseconds(move.ms)}});
    }
    return write(
        json::object{{"result", "done"}, {"message", answer.message}, {"moves", std::move(moves)}});
}

std::string error_json(std::string_view error, std::string_view remedy) {
    return write(json::object{{"error", error}, {"remedy", remedy}});
}

std::string version_json(std::string_view version) {
    return write(json::object{{"version", version}});
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

Result<FailoverRequest> parse_failover_request(std::string_view text) {
    const auto value = parse_text(text.empty() ? "{}" : text);
    if (!value) return tl::unexpected(value.error());
    FailoverRequest request;
    std::string error;
    const Reader reader(*value, "the request", error);
    constexpr std::array<std::string_view, 3> known{"to", "group", "force"};
    reader.refuse_unknown(known);
    reader.optional_text("to", request.to);
    reader.optional_text("group", request.group);
    reader.boolean("force", request.force);
    return finish(std::move(request), std::move(error));
}

Result<FailoverAnswer> parse_failover_answer(std::string_view text) {
    const auto value = parse_text(text);
    if (!value) return tl::unexpected(value.error());
    FailoverAnswer answer;
    std::string error;
    const Reader reader(*value, "the answer", error);
    reader.text("message", answer.message, true);
    reader.each_item("moves", [&](const json::value& item) {
        const Reader fields(item, "move", error);
        Move& move = answer.moves.emplace_back();
        fields.text("group", move.group);
        fields.text("from", move.from);
        fields.text("to", move.to);
        fields.number("ms", move.ms);
    });
    return finish(std::move(answer), std::move(error));
}

Result<std::string> parse_version(std::string_view text) {
    const auto value = parse_text(text);
    if (!value) return tl::unexpected(value.error());
    std::string version;
    std::string error;
    Reader(*value, "the answer", error).text("version", version, true);
    return finish(std::move(version), std::move(error));
}

ErrorText parse_error(std::string_view text) {
    ErrorText result;
    std::string error;
    if (const auto value = parse_text(text)) {
        const Reader reader(*value, "the answer", error);
        reader.text("error", result.error, true);
        reader.text("remedy", result.remedy);
    }
    if (result.error.empty()) {
        result = {"the agent answered with something that is not understood",
                  "compare `hamr version` with the agent's log"};
    }
    return result;
}

}  // namespace hamr::control
