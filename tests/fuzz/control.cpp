// SPDX-License-Identifier: GPL-2.0-or-later
// The control API: HTTP's bytes to a request, as the server reads them, and the request to an
// answer. Each is answered once, in JSON, an error with a remedy; no order gets through that breaks
// its limits.
#include "agent/control/json.hpp"
#include "agent/control/routes.hpp"
#include "tests/fuzz/target.hpp"

#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>

namespace hamr::fuzz {

namespace {

using namespace hamr::control;
namespace http = boost::beast::http;

class Agent final : public Handler {
  public:
    Status status() override {
        Status status;
        status.cluster = "shop";
        status.node = "r1";
        status.groups.emplace_back().name = "default";
        for (const char* name : {"r1", "r2"}) status.nodes.emplace_back().name = name;
        return status;
    }
    std::vector<HistoryEntry> history() override { return {HistoryEntry{}}; }
    void failover(FailoverRequest request, std::function<void(FailoverAnswer)> done) override {
        HAMR_ASSERT(!request.to || *request.to == "r1" || *request.to == "r2");
        HAMR_ASSERT(!request.group || *request.group == "default");
        done({Outcome::done, "moved", "", {{"default", "r1", "r2", 1.5}}});
    }
    void drain(DrainRequest request, std::function<void(Answer)> done) override {
        HAMR_ASSERT(!request.timeout_ms ||
                    (*request.timeout_ms >= 0 && *request.timeout_ms <= max_drain_ms));
        done({Outcome::done, "drained", ""});
    }
    void drain_backend(BackendRequest request, std::function<void(BackendAnswer)> done) override {
        BackendAnswer answer;
        answer.message = "drained";
        answer.address = request.address;
        done(answer);
    }
    void reload(ReloadRequest, std::function<void(Answer)> done) override {
        done({Outcome::refused, "nothing to reload", "name a router"});
    }
    void restart(std::function<void(Answer)> done) override { done({Outcome::done, "soon", ""}); }
};

void expect_answer(const ApiAnswer& said) {
    HAMR_ASSERT(said.http == 200 || (said.http >= 400 && said.http < 600));
    HAMR_ASSERT((said.http == 405) == !said.allow.empty());
    // As JSON wants it. (DEL and U+0080 to U+009F may stand in it; who shows it looks after them.)
    const bool printable = std::none_of(said.body.begin(), said.body.end(),
                                        [](char c) { return static_cast<unsigned char>(c) < ' '; });
    HAMR_ASSERT(printable && is_utf8(said.body));
    if (said.http == 200) {
        HAMR_ASSERT(parse_status(said.body) || parse_history(said.body) ||
                    parse_version(said.body) || parse_answer(said.body));
        return;
    }
    const ErrorText error = parse_error(said.body);
    HAMR_ASSERT(!error.error.empty() && !error.remedy.empty());
    HAMR_ASSERT(said.body == error_json(error.error, error.remedy));
    HAMR_ASSERT(said.http != 500);
}

/// How many bytes the first request has; 0 when there is none.
std::size_t serve(Agent& agent, std::string_view bytes) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(8 * 1024);
    parser.body_limit(64 * 1024);
    parser.eager(true);
    boost::system::error_code error;
    const std::size_t used =
        parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    if (error || !parser.is_done()) return 0;
    const http::request<http::string_body> message = parser.release();
    const ApiRequest request{std::string(message.method_string()), std::string(message.target()),
                             message.body()};
    int answers = 0;
    answer(agent, request, [&](const ApiAnswer& said) {
        ++answers;
        expect_answer(said);
    });
    HAMR_ASSERT(answers == 1);
    return used;
}

void run(Bytes input) {
    Agent agent;
    std::string_view bytes = as_text(input);
    for (int i = 0; i < 8 && !bytes.empty(); ++i) {
        const std::size_t used = serve(agent, bytes);
        if (used == 0) break;
        bytes.remove_prefix(used);
    }
    // And a body without HTTP around it.
    const std::string body(as_text(input));
    for (const char* path : {"/v1/failover", "/v1/drain", "/v1/undrain", "/v1/backend/drain",
                             "/v1/backend/undrain", "/v1/reload", "/v1/restart"}) {
        answer(agent, {"POST", path, body}, expect_answer);
    }
}

}  // namespace

const Target control{"control", run, 128 << 10, 512};

}  // namespace hamr::fuzz
