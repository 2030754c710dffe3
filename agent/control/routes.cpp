// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/control/routes.hpp"

#include "agent/control/json.hpp"
#include "agent/control/version.hpp"

#include <array>
#include <exception>
#include <utility>

namespace hamr::control {

namespace {

using Done = std::function<void(ApiAnswer)>;

struct Route {
    std::string_view method;
    std::string_view path;
    void (*serve)(Handler& handler, const ApiRequest& request, const Done& done);
};

void serve_status(Handler& handler, const ApiRequest&, const Done& done) {
    done({200, to_json(handler.status()), {}});
}

void serve_history(Handler& handler, const ApiRequest&, const Done& done) {
    done({200, to_json(handler.history()), {}});
}

void serve_version(Handler&, const ApiRequest&, const Done& done) {
    done({200, version_json(version()), {}});
}

void serve_failover(Handler& handler, const ApiRequest& request, const Done& done) {
    const auto order = parse_failover_request(request.body);
    if (!order) {
        const std::string error = order.error().message();
        done({400, error_json(error, R"(send {"to": NODE, "group": GROUP, "force": false})"), {}});
        return;
    }
    if (const auto wrong = check_names(handler.status(), *order)) {
        done({http_code(wrong->outcome), to_json(*wrong), {}});
        return;
    }
    handler.failover(*order, [done](const FailoverAnswer& result) {
        done({http_code(result.outcome), to_json(result), {}});
    });
}

/// Nothing to drain on a witness: it never leads and runs no router.
bool refuse_on_witness(Handler& handler, std::string_view what, const Done& done) {
    const Status status = handler.status();
    for (const NodeStatus& node : status.nodes) {
        if (node.name != status.node || node.role != NodeRole::witness) continue;
        done({http_code(Outcome::refused),
              error_json("this node, " + node.name + ", is a witness: it has nothing to " +
                             std::string(what),
                         "run the command on a router"),
              {}});
        return true;
    }
    return false;
}

std::function<void(const Answer&)> answer_with(const Done& done) {
    return [done](const Answer& answer) { done({http_code(answer.outcome), to_json(answer), {}}); };
}

void serve_drain(Handler& handler, const ApiRequest& request, const Done& done) {
    const auto order = parse_drain_request(request.body);
    if (!order) {
        done({400, error_json(order.error().message(), R"(send {"timeout_ms": 60000} or {})"), {}});
        return;
    }
    if (!refuse_on_witness(handler, "drain", done)) handler.drain(*order, answer_with(done));
}

void serve_undrain(Handler& handler, const ApiRequest& request, const Done& done) {
    if (const auto order = parse_empty_request(request.body); !order) {
        done({400, error_json(order.error().message(), "send {} or nothing"), {}});
        return;
    }
    if (!refuse_on_witness(handler, "take back", done)) {
        handler.drain({false, std::nullopt}, answer_with(done));
    }
}

void order_backend(Handler& handler, const ApiRequest& request, bool draining, const Done& done) {
    auto order = parse_backend_request(request.body);
    if (!order) {
        done({400,
              error_json(order.error().message(), R"(send {"address": "192.0.2.21:3306"})"),
              {}});
        return;
    }
    if (refuse_on_witness(handler, draining ? "drain" : "take back", done)) return;
    order->draining = draining;
    handler.drain_backend(std::move(*order), [done](const BackendAnswer& answer) {
        done({http_code(answer.outcome), to_json(answer), {}});
    });
}

void serve_backend_drain(Handler& handler, const ApiRequest& request, const Done& done) {
    order_backend(handler, request, true, done);
}

void serve_backend_undrain(Handler& handler, const ApiRequest& request, const Done& done) {
    order_backend(handler, request, false, done);
}

void serve_reload(Handler& handler, const ApiRequest& request, const Done& done) {
    const auto order = parse_reload_request(request.body);
    if (!order) {
        done({400, error_json(order.error().message(), R"(send {"force": false} or {})"), {}});
        return;
    }
    handler.reload(*order, answer_with(done));
}

void serve_restart(Handler& handler, const ApiRequest& request, const Done& done) {
    if (const auto order = parse_empty_request(request.body); !order) {
        done({400, error_json(order.error().message(), "send {} or nothing"), {}});
        return;
    }
    handler.restart(answer_with(done));
}

constexpr std::array<Route, 10> routes{{{"GET", "/v1/status", serve_status},
                                        {"GET", "/v1/history", serve_history},
                                        {"GET", "/v1/version", serve_version},
                                        {"POST", "/v1/failover", serve_failover},
                                        {"POST", "/v1/drain", serve_drain},
                                        {"POST", "/v1/undrain", serve_undrain},
                                        {"POST", "/v1/backend/drain", serve_backend_drain},
                                        {"POST", "/v1/backend/undrain", serve_backend_undrain},
                                        {"POST", "/v1/reload", serve_reload},
                                        {"POST", "/v1/restart", serve_restart}}};

void dispatch(Handler& handler, const ApiRequest& request, const Done& done) {
    const std::string_view path =
        std::string_view(request.target).substr(0, request.target.find('?'));
    std::string_view allowed;
    for (const Route& route : routes) {
        if (route.path != path) continue;
        if (route.method == request.method) {
            route.serve(handler, request, done);
            return;
        }
        allowed = route.method;
    }
    if (!allowed.empty()) {
        done({405, error_json("this path wants " + std::string(allowed), "use that method"),
              std::string(allowed)});
        return;
    }
    std::string known;
    for (const Route& route : routes) {
        known += (known.empty() ? "" : ", ") + std::string(route.path);
    }
    done({404, error_json("no such path", "this agent serves " + known), {}});
}

}  // namespace

unsigned http_code(Outcome outcome) {
    switch (outcome) {
        case Outcome::done:
            return 200;
        case Outcome::unknown:
            return 404;
        case Outcome::refused:
            return 409;
        case Outcome::bad_file:
            return 422;
        case Outcome::failed:
            return 503;
        case Outcome::timed_out:
            return 504;
    }
    return 500;
}

void answer(Handler& handler, const ApiRequest& request, std::function<void(ApiAnswer)> done) {
    try {
        dispatch(handler, request, done);
    } catch (const std::exception& error) {
        done({500,
              error_json(std::string("the agent failed: ") + error.what(),
                         "see the agent's log; this should be reported"),
              {}});
    }
}

}  // namespace hamr::control
