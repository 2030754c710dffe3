// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/backend.hpp"

#include "agent/cli/ask.hpp"
#include "agent/cli/exit_codes.hpp"
#include "agent/cli/terminal.hpp"
#include "agent/cli/words.hpp"
#include "agent/config/duration.hpp"
#include "agent/control/json.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

namespace hamr::cli {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds default_wait{60'000};
constexpr milliseconds look_period{200};
constexpr seconds order_timeout{10};

/// "5m", "1500ms"; digits alone are seconds.
std::optional<milliseconds> parse_wait(const std::string& text) {
    if (text.empty()) return default_wait;
    const bool digits =
        std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    const auto duration = config::parse_duration(digits ? text + "s" : text);
    if (!duration) return std::nullopt;
    const auto ms = std::chrono::ceil<milliseconds>(*duration);
    const milliseconds most(static_cast<milliseconds::rep>(control::max_drain_ms));
    return ms <= most ? std::optional(ms) : std::nullopt;
}

/// What the agent answered to an order, or the exit code of what has been printed.
struct Ordered {
    std::string body;
    control::BackendAnswer answer;
    std::optional<int> failed;
};

Ordered order(const Invocation& invocation, const char* target) {
    control::BackendRequest request;
    request.address = invocation.operands.front();
    Asked asked = ask(invocation, "POST", target, control::to_json(request), order_timeout);
    if (asked.failed) return {{}, {}, asked.failed};
    auto answer = control::parse_backend_answer(asked.body);
    if (!answer) return {{}, {}, not_understood(answer.error())};
    return {std::move(asked.body), std::move(*answer), std::nullopt};
}

void print_answer(const control::BackendAnswer& answer) {
    print(wrap(printable(answer.message), "") + "\n");
    if (!answer.confirmed.empty()) {
        print("confirmed by " + printable(join(answer.confirmed)) + "\n");
    }
    for (const std::string& note : answer.notes) {
        print(wrap("- " + printable(note), "  ") + "\n");
    }
}

/// The backend as the agent shows it now; nothing when it is not in the status any more.
struct Look {
    std::optional<control::BackendStatus> backend;
    std::optional<int> failed;
};

Look look(const Invocation& invocation, const std::string& address) {
    const Asked asked = ask(invocation, "GET", "/v1/status");
    if (asked.failed) return {{}, asked.failed};
    const auto status = control::parse_status(asked.body);
    if (!status) return {{}, not_understood(status.error())};
    for (const control::BackendStatus& backend : status->router.backends) {
        if (backend.address == address) return {backend, {}};
    }
    return {};
}

int wait_until_empty(const Invocation& invocation, const std::string& address, milliseconds most) {
    const bool quiet = invocation.has("--json");
    Progress progress(is_terminal());
    const Clock::time_point end = Clock::now() + most;
    // What came in just before the rules stood may not be counted yet.
    int empty_looks = 0;
    for (;;) {
        const Look seen = look(invocation, address);
        const Clock::time_point now = Clock::now();
        if (seen.failed) return *seen.failed;
        if (!seen.backend || !seen.backend->draining) {
            progress.end();
            print_error(printable(address) + " is not drained any more",
                        "somebody has run `hamr backend undrain`; `hamr history` tells where");
            return exit_failed;
        }
        empty_looks = seen.backend->flows == 0 ? empty_looks + 1 : 0;
        if (empty_looks == 2) {
            progress.end();
            if (!quiet) print("no connection is left: the server can be stopped\n");
            return finish_output();
        }
        if (now >= end) {
            progress.end();
            print_error(count(seen.backend->flows, "connection") + " left after " +
                            show_ms(static_cast<double>(most.count())),
                        "they go on, and nothing new comes; wait again, or end them on the server");
            return exit_failed;
        }
        if (!quiet) progress.show(count(seen.backend->flows, "connection") + " left", now);
        if (const int full = finish_output(); full != exit_done) return full;
        std::this_thread::sleep_for(look_period);
    }
}

}  // namespace

int run_backend_drain(const Invocation& invocation) {
    std::optional<milliseconds> wait;
    if (invocation.has("--wait")) {
        const std::string text = invocation.value("--wait").value_or("");
        wait = parse_wait(text);
        if (!wait) {
            print_error("--wait=" + text + " is not a time of at most a day",
                        "write, for example, --wait=5m (units: us, ms, s, m)");
            return exit_usage;
        }
    }
    const Ordered ordered = order(invocation, "/v1/backend/drain");
    if (ordered.failed) return *ordered.failed;
    if (invocation.has("--json")) {
        print(ordered.body + "\n");
    } else {
        print_answer(ordered.answer);
    }
    if (!wait) return finish_output();
    return wait_until_empty(invocation, ordered.answer.address, *wait);
}

int run_backend_undrain(const Invocation& invocation) {
    const Ordered ordered = order(invocation, "/v1/backend/undrain");
    if (ordered.failed) return *ordered.failed;
    if (invocation.has("--json")) {
        print(ordered.body + "\n");
    } else {
        print_answer(ordered.answer);
    }
    return finish_output();
}

}  // namespace hamr::cli
