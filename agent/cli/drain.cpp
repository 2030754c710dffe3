// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/drain.hpp"

#include "agent/cli/ask.hpp"
#include "agent/cli/exit_codes.hpp"
#include "agent/cli/follow.hpp"
#include "agent/cli/terminal.hpp"
#include "agent/config/duration.hpp"
#include "agent/control/client.hpp"
#include "agent/control/json.hpp"
#include "agent/control/version.hpp"

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <thread>

#include <unistd.h>

namespace hamr::cli {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds restart_time{10};
constexpr std::chrono::milliseconds restart_look_period{20};
constexpr milliseconds look_period{200};
/// An agent that is restarted goes on with the drain; so long it may take.
constexpr seconds longest_silence{15};
constexpr seconds order_timeout{20};

/// Ctrl-C ends the watching only: says so, then dies of it, as a shell expects.
extern "C" void interrupted(int signal) {
    constexpr std::string_view text =
        "\nhamr: the drain goes on; `hamr status` shows how, `hamr undrain` ends it\n";
    // Nothing can be done about a terminal that does not take it.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    ::raise(signal);
}

void watch_interrupts() {
    struct sigaction action {};
    action.sa_handler = interrupted;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, nullptr);
}

std::optional<double> timeout_ms(const std::string& text) {
    const auto duration = config::parse_duration(text);
    if (!duration) return std::nullopt;
    const double ms = std::chrono::duration<double, std::milli>(*duration).count();
    return ms <= control::max_drain_ms ? std::optional(ms) : std::nullopt;
}

/// A status, or nothing while the agent does not answer as it should.
std::optional<control::Status> look(const Invocation& invocation) {
    const std::string socket = invocation.value("--socket").value_or(control::default_socket);
    const auto response = control::request({socket, seconds(5)}, "GET", "/v1/status");
    if (!response || response->http != 200) return std::nullopt;
    auto status = control::parse_status(response->body);
    return status ? std::optional(std::move(*status)) : std::nullopt;
}

int follow(const Invocation& invocation, DrainFollower follower) {
    Progress progress(is_terminal());
    Clock::time_point heard = Clock::now();
    for (;;) {
        const auto status = look(invocation);
        const Clock::time_point now = Clock::now();
        if (!status && now - heard > longest_silence) {
            // Says why, and with which code.
            progress.end();
            const Asked asked = ask(invocation, "GET", "/v1/status");
            if (asked.failed) return *asked.failed;
        }
        if (status) {
            heard = now;
            const DrainFollower::Step step = follower.look(*status, now);
            if (!step.lines.empty() || step.end) progress.end();
            for (const std::string& each : step.lines) print(printable(each) + "\n");
            if (step.end == exit_done) return finish_output();
            if (step.end) {
                print_error(step.error, step.remedy);
                return *step.end;
            }
            if (!step.progress.empty()) progress.show(printable(step.progress), now);
        }
        if (const int full = finish_output(); full != exit_done) return full;
        std::this_thread::sleep_for(look_period);
    }
}

/// Orders, and prints what the agent answers: that, or the exit code of what went wrong.
struct Ordered {
    control::Answer answer;
    int code = exit_done;
};

Ordered order(const Invocation& invocation, const char* target, const std::string& body = "{}") {
    const Asked asked = ask(invocation, "POST", target, body, order_timeout);
    if (asked.failed) return {{}, *asked.failed};
    const auto answer = control::parse_answer(asked.body);
    if (!answer) return {{}, not_understood(answer.error())};
    print(printable(answer->message) + "\n");
    return {*answer, finish_output()};
}

/// Until the next program answers.
int await_restart(const Invocation& invocation, const std::optional<control::Status>& before) {
    const auto deadline = Clock::now() + restart_time;
    while (Clock::now() < deadline) {
        std::this_thread::sleep_for(restart_look_period);
        const auto status = look(invocation);
        if (!status || (before && status->started == before->started)) continue;
        print("restarted: version " + printable(status->version) + "\n");
        return finish_output();
    }
    print_error("the agent has not restarted within 10 s",
                "`hamr history` and the agent's log say why");
    return exit_failed;
}

}  // namespace

int run_drain(const Invocation& invocation) {
    control::DrainRequest request;
    if (const auto text = invocation.value("--timeout")) {
        request.timeout_ms = timeout_ms(*text);
        if (!request.timeout_ms) {
            print_error("--timeout " + *text + " is not a time of at most a day",
                        "write, for example, --timeout 30s (units: us, ms, s, m)");
            return exit_usage;
        }
    }
    const Asked asked = ask(invocation, "GET", "/v1/status");
    if (asked.failed) return *asked.failed;
    const auto before = control::parse_status(asked.body);
    if (!before) return not_understood(before.error());
    if (!invocation.has("--no-wait")) watch_interrupts();
    const Asked begun =
        ask(invocation, "POST", "/v1/drain", control::to_json(request), order_timeout);
    if (begun.failed) return *begun.failed;
    const auto answer = control::parse_answer(begun.body);
    if (!answer) return not_understood(answer.error());
    if (!invocation.has("--no-wait")) return follow(invocation, DrainFollower(*before));
    print(printable(answer->message) + "\n");
    return finish_output();
}

int run_undrain(const Invocation& invocation) {
    return order(invocation, "/v1/undrain").code;
}

int run_restart(const Invocation& invocation) {
    const auto before = look(invocation);
    const Ordered ordered = order(invocation, "/v1/restart");
    return ordered.code != exit_done ? ordered.code : await_restart(invocation, before);
}

int run_reload(const Invocation& invocation) {
    const auto before = look(invocation);
    const control::ReloadRequest request{invocation.has("--force")};
    const Ordered ordered = order(invocation, "/v1/reload", control::to_json(request));
    if (ordered.code != exit_done || !ordered.answer.restarts) return ordered.code;
    return await_restart(invocation, before);
}

}  // namespace hamr::cli
