// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

// The model as JSON text and back. Writing always gives every key of the design; reading asks for
// the keys that it needs, takes defaults for others, ignores unknown ones (a newer agent may have
// more), and never throws.

namespace hamr::control {

/// Longest text that the readers accept, and their nesting limit is 32.
inline constexpr std::size_t max_json_bytes = 8 << 20;
/// Longest time that a drain may leave connections to finish: a day.
inline constexpr double max_drain_ms = 86'400'000;

[[nodiscard]] std::string to_json(const Status& status);
[[nodiscard]] std::string to_json(const std::vector<HistoryEntry>& history);
[[nodiscard]] std::string to_json(const FailoverRequest& request);
/// {"result":"done","message":…,"moves":[…]}, or the error form {"error":…,"remedy":…}.
[[nodiscard]] std::string to_json(const FailoverAnswer& answer);
/// What POST /v1/drain takes: {"timeout_ms":…} or {}.
[[nodiscard]] std::string to_json(const DrainRequest& request);
/// What POST /v1/backend/drain takes: {"address":"HOST:PORT"}.
[[nodiscard]] std::string to_json(const BackendRequest& request);
/// {"result":"done","message":…,"address":…,"confirmed":[…],"notes":[…]}, or the error form.
[[nodiscard]] std::string to_json(const BackendAnswer& answer);
/// What POST /v1/reload takes: {"force":…}.
[[nodiscard]] std::string to_json(const ReloadRequest& request);
/// {"result":"done","message":…}, with "restarts":true when it does, or the error form.
[[nodiscard]] std::string to_json(const Answer& answer);
[[nodiscard]] std::string error_json(std::string_view error, std::string_view remedy);
[[nodiscard]] std::string version_json(std::string_view version);

Result<Status> parse_status(std::string_view text);
Result<std::vector<HistoryEntry>> parse_history(std::string_view text);
/// Strict: unknown keys and wrong types are errors, since this one is an order.
Result<FailoverRequest> parse_failover_request(std::string_view text);
/// Likewise; `drained` is what the path says, not the text.
Result<DrainRequest> parse_drain_request(std::string_view text);
/// Likewise; `draining` is what the path says.
Result<BackendRequest> parse_backend_request(std::string_view text);
/// Likewise.
Result<ReloadRequest> parse_reload_request(std::string_view text);
/// Likewise, for orders that have nothing to say: nothing, or {}.
Result<> parse_empty_request(std::string_view text);
/// Of a 200 answer.
Result<Answer> parse_answer(std::string_view text);
Result<BackendAnswer> parse_backend_answer(std::string_view text);
Result<FailoverAnswer> parse_failover_answer(std::string_view text);
Result<std::string> parse_version(std::string_view text);

struct ErrorText {
    std::string error;
    std::string remedy;
};
/// Of any other answer; text that is no such JSON becomes a general error.
ErrorText parse_error(std::string_view text);

}  // namespace hamr::control
