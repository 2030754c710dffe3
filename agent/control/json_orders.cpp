// SPDX-License-Identifier: GPL-2.0-or-later
// Requests and their answers.
#include "agent/control/json.hpp"
#include "agent/control/json_text.hpp"

namespace hamr::control {

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

std::string to_json(const DrainRequest& request) {
    json::object object;
    if (request.drained && request.timeout_ms)
        object["timeout_ms"] = milliseconds(request.timeout_ms);
    return write(object);
}

std::string to_json(const BackendRequest& request) {
    return write(json::object{{"address", request.address}});
}

std::string to_json(const BackendAnswer& answer) {
    if (answer.outcome != Outcome::done) return error_json(answer.message, answer.remedy);
    json::array confirmed(answer.confirmed.begin(), answer.confirmed.end());
    json::array notes(answer.notes.begin(), answer.notes.end());
    return write(json::object{{"result", "done"},
                              {"message", answer.message},
                              {"address", answer.address},
                              {"confirmed", std::move(confirmed)},
                              {"notes", std::move(notes)}});
}

std::string to_json(const ReloadRequest& request) {
    return write(json::object{{"force", request.force}});
}

std::string to_json(const Answer& answer) {
    if (answer.outcome != Outcome::done) return error_json(answer.message, answer.remedy);
    json::object object{{"result", "done"}, {"message", answer.message}};
    if (answer.restarts) object["restarts"] = true;
    return write(object);
}

std::string error_json(std::string_view error, std::string_view remedy) {
    return write(json::object{{"error", error}, {"remedy", remedy}});
}

std::string version_json(std::string_view version) {
    return write(json::object{{"version", version}});
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

Result<DrainRequest> parse_drain_request(std::string_view text) {
    const auto value = parse_text(text.empty() ? "{}" : text);
    if (!value) return tl::unexpected(value.error());
    DrainRequest request;
    std::string error;
    const Reader reader(*value, "the request", error);
    constexpr std::array<std::string_view, 1> known{"timeout_ms"};
    reader.refuse_unknown(known);
    reader.optional_number("timeout_ms", request.timeout_ms);
    if (request.timeout_ms && !(*request.timeout_ms >= 0 && *request.timeout_ms <= max_drain_ms)) {
        reader.wrong("timeout_ms", "a number of milliseconds from 0 to 86400000");
    }
    return finish(request, std::move(error));
}

Result<BackendRequest> parse_backend_request(std::string_view text) {
    const auto value = parse_text(text.empty() ? "{}" : text);
    if (!value) return tl::unexpected(value.error());
    BackendRequest request;
    std::string error;
    const Reader reader(*value, "the request", error);
    constexpr std::array<std::string_view, 1> known{"address"};
    reader.refuse_unknown(known);
    reader.text("address", request.address, true);
    return finish(std::move(request), std::move(error));
}

Result<ReloadRequest> parse_reload_request(std::string_view text) {
    const auto value = parse_text(text.empty() ? "{}" : text);
    if (!value) return tl::unexpected(value.error());
    ReloadRequest request;
    std::string error;
    const Reader reader(*value, "the request", error);
    constexpr std::array<std::string_view, 1> known{"force"};
    reader.refuse_unknown(known);
    reader.boolean("force", request.force);
    return finish(request, std::move(error));
}

Result<> parse_empty_request(std::string_view text) {
    const auto value = parse_text(text.empty() ? "{}" : text);
    if (!value) return tl::unexpected(value.error());
    std::string error;
    Reader(*value, "the request", error).refuse_unknown({});
    if (!error.empty()) return fail(std::move(error));
    return {};
}

Result<Answer> parse_answer(std::string_view text) {
    const auto value = parse_text(text);
    if (!value) return tl::unexpected(value.error());
    Answer answer;
    std::string error;
    const Reader reader(*value, "the answer", error);
    reader.text("message", answer.message, true);
    reader.boolean("restarts", answer.restarts);
    return finish(std::move(answer), std::move(error));
}

Result<BackendAnswer> parse_backend_answer(std::string_view text) {
    const auto value = parse_text(text);
    if (!value) return tl::unexpected(value.error());
    BackendAnswer answer;
    std::string error;
    const Reader reader(*value, "the answer", error);
    reader.text("message", answer.message, true);
    reader.text("address", answer.address);
    const auto texts = [&](std::string_view key, std::vector<std::string>& out) {
        reader.each_item(key, [&](const json::value& item) {
            if (const json::string* each = item.if_string()) {
                out.emplace_back(each->data(), each->size());
            }
        });
    };
    texts("confirmed", answer.confirmed);
    texts("notes", answer.notes);
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
