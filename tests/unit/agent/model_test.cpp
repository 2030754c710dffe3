// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/control/model.hpp"

#include "agent/control/json.hpp"
#include "tests/unit/agent/sample.hpp"

#include <string>

#include <gmock/gmock.h>

namespace hamr::control {
namespace {

using test::sample_history;
using test::sample_status;
using test::supervised_status;
using testing::HasSubstr;
using testing::Not;

TEST(WallTimeText, ThereAndBack) {
    for (const char* text : {"2026-11-20T06:00:00Z", "1970-01-01T00:00:00Z",
                             "2028-02-29T23:59:59.001Z", "2026-11-20T06:00:00.120Z"}) {
        const auto time = parse_time(text);
        ASSERT_TRUE(time) << text;
        EXPECT_EQ(format_time(*time), text);
    }
    EXPECT_EQ(format_time(*parse_time("2026-11-20T06:00:00.1239999Z")), "2026-11-20T06:00:00.123Z");
    for (const char* text :
         {"", "2026-11-20", "2026-11-20T06:00:00", "2026-11-20T06:00:00+01:00",
          "2026-02-30T06:00:00Z", "2026-11-20T24:00:00Z", "2026-11-20T06:00:00.Z",
          "2026-11-20 06:00:00Z", "x026-11-20T06:00:00Z", "2026-11-20T06:00:00.1234567891Z"}) {
        EXPECT_FALSE(parse_time(text)) << text;
    }
}

TEST(StatusJson, ThereAndBack) {
    const auto parsed = parse_status(to_json(sample_status()));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, sample_status());
}

TEST(StatusJson, IsTheTextOfTheDesign) {
    Status status = sample_status();
    status.groups.pop_back();
    status.nodes.pop_back();
    status.router.backends.pop_back();
    status.drops.clear();
    EXPECT_EQ(
        to_json(status),
        R"({"cluster":"shop","node":"router1","version":"0.1.0","quorum":"majority",)"
        R"("groups":{"default":{"addresses":["192.0.2.100/24","2001:db8::100/64"],)"
        R"("state":"leader","leader":"router1","term":4,"since":"2026-11-20T06:00:00Z",)"
        R"("reason":"takeover: router2 silent for 30 ms","lease_ms":24.5,"votes":3,"needed":2}},)"
        R"("nodes":{"router1":{"role":"router","state":"alive","demotion":0,"last_heard_ms":0,)"
        R"("drained":false},"router2":{"role":"router","state":"silent","demotion":10,)"
        R"("last_heard_ms":4210.5,"drained":true}},)"
        R"("router":{"kind":"embedded","state":"degraded","flows":812,)"
        R"("reason":"no secondary: ro leads to the primary","backends":[{)"
        R"("address":"192.0.2.21:3306","role":"primary","state":"up","topology":"replication",)"
        R"("note":"","draining":false,"flows":0}]},"checks":[],)"
        R"("drain":{"state":"none","connections":0,"left_ms":null,"note":""},)"
        R"("drops":{"bad_signature":0,"replayed":0,"wrong_cluster":0,)"
        R"("unknown_node":0,"malformed":0},)"
        R"("warnings":[{"what":"the clock drifts","remedy":"look at chrony"}]})");
}

TEST(StatusJson, OfASupervisedRouterThereAndBack) {
    const std::string text = to_json(supervised_status());
    const auto parsed = parse_status(text);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, supervised_status());
    EXPECT_THAT(text,
                HasSubstr(R"("process":{"state":"waiting","unit":"haproxy.service","pid":4711,)"
                          R"("since":"2026-11-20T06:00:01Z","restarts":3,)"
                          R"x("last_exit":"killed by signal 9 (SIGKILL)","next_start_ms":1500.5,)x"
                          R"("adopted":true}},"checks":[{"name":"mysql 127.0.0.1:6446",)"
                          R"("kind":"mysql","state":"down","weight":100,"fatal":false,)"
                          R"("output":"ERR 2003: no backend","since":"2026-11-20T06:00:02Z",)"
                          R"("flaps":2},{"name":"router","kind":"process","state":"unknown",)"
                          R"("weight":1000000,"fatal":true,"output":"","since":null,"flaps":0}],)"
                          R"("drain":{"state":"finishing","connections":12,"left_ms":48000.5,)"
                          R"("note":"1 connection was cut"})"));
    EXPECT_THAT(to_json(sample_status()), Not(HasSubstr("process")));
}

TEST(StatusJson, FlowsThereAndBack) {
    Status status = sample_status();
    EXPECT_THAT(to_json(status), Not(HasSubstr("streams")));
    status.flows =
        FlowsStatus{812, 5, {{"router2", "synced", 0.25, 0.5, 1}}, 2, 3, 4, 900, 262144, 6};
    status.beats = {1000, 10.5, 11.25, 23, 4};
    EXPECT_THAT(
        to_json(status),
        HasSubstr(R"("flows":{"own":812,"replicas":5,"streams":[{"peer":"router2",)"
                  R"("state":"synced","lag_ms":0.25,"delay_ms":0.5,"resyncs":1}],)"
                  R"("missed":2,"refused":3,"waiting":4,"entries":900,"most_entries":262144,)"
                  R"("dropped":6})"));
    EXPECT_THAT(to_json(status), HasSubstr(R"("pulse":{"gaps":1000,"p50_ms":10.5,)"));
    EXPECT_EQ(parse_status(to_json(status))->flows, status.flows);
    EXPECT_EQ(parse_status(to_json(status))->beats, status.beats);
}

TEST(StatusJson, PathsOfANodeThereAndBack) {
    Status status = sample_status();
    EXPECT_THAT(to_json(status), Not(HasSubstr("paths")));
    status.nodes[1].paths = {{"192.0.2.11", "192.0.2.12", 3.5},
                             {"198.51.100.11", "198.51.100.12", std::nullopt}};
    EXPECT_THAT(to_json(status), HasSubstr(R"("paths":[{"own":"192.0.2.11","peer":"192.0.2.12",)"
                                           R"("last_heard_ms":3.5},{"own":"198.51.100.11",)"
                                           R"("peer":"198.51.100.12","last_heard_ms":null}])"));
    EXPECT_EQ(parse_status(to_json(status))->nodes, status.nodes);
}

TEST(StatusJson, EveryWordThereAndBack) {
    using Drain = DrainStatus::State;
    for (const Drain state : {Drain::none, Drain::moving, Drain::finishing, Drain::drained}) {
        Status status = sample_status();
        status.drain.state = state;
        EXPECT_EQ(parse_status(to_json(status))->drain.state, state) << to_string(state);
    }
    for (const CheckState state :
         {CheckState::unknown, CheckState::up, CheckState::down, CheckState::paused}) {
        Status status = supervised_status();
        status.checks[0].state = state;
        EXPECT_EQ(parse_status(to_json(status))->checks[0].state, state) << to_string(state);
    }
}

TEST(StatusJson, UnknownIsNull) {
    const std::string text = to_json(sample_status());
    EXPECT_THAT(text,
                HasSubstr(R"("leader":null,"term":2,"since":null,"reason":"","lease_ms":null,)"
                          R"("votes":null,"needed":2)"));
    EXPECT_THAT(text, HasSubstr(R"("last_heard_ms":null)"));
}

TEST(StatusJson, OfANewerAgentIsStillRead) {
    const auto parsed = parse_status(R"({"cluster":"c","node":"n","more":{"x":[1]},)"
                                     R"("groups":{"g":{"state":"dancing","term":1.0}},)"
                                     R"("drops":{"new_reason":3}})");
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->groups.at(0).term, 1U);
    EXPECT_EQ(parsed->drops.at("new_reason"), 3U);
}

TEST(StatusJson, NonsenseIsRefusedByName) {
    const auto error = [](std::string_view text) {
        const auto parsed = parse_status(text);
        return parsed ? std::string() : parsed.error().message();
    };
    EXPECT_THAT(error("{"), HasSubstr("not JSON"));
    EXPECT_EQ(error("[]"), "the status is not an object");
    EXPECT_EQ(error("{}"), "the status has no \"cluster\"");
    EXPECT_EQ(error(R"({"cluster":1,"node":"n"})"), "the status \"cluster\" is not a string");
    EXPECT_EQ(error(R"({"cluster":"c","node":"n","groups":[]})"),
              "the status \"groups\" is not an object");
    EXPECT_EQ(error(R"({"cluster":"c","node":"n","groups":{"g":{"term":-1}}})"),
              "group g \"term\" is not a number in range");
    EXPECT_EQ(error(R"({"cluster":"c","node":"n","groups":{"g":{"since":"noon"}}})"),
              "group g \"since\" is not a time like 2026-11-20T06:00:00Z");
    EXPECT_THAT(error(std::string(100'000, '[')), HasSubstr("not JSON"));
}

TEST(HistoryJson, ThereAndBack) {
    const std::string text = to_json(sample_history());
    EXPECT_THAT(text, HasSubstr(R"({"time":"2026-11-20T05:00:00Z","node":"router2",)"
                                R"("group":"default","from":"candidate","to":"leader",)"
                                R"("reason":"election: nobody leads","term":3},)"));
    EXPECT_THAT(text, HasSubstr(R"("stages_ms":{"detected":)"));
    const auto parsed = parse_history(text);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, sample_history());
    EXPECT_EQ(to_json(std::vector<HistoryEntry>{}), "[]");
    EXPECT_FALSE(parse_history("{}"));
}

TEST(FailoverJson, RequestThereAndBack) {
    for (const FailoverRequest& request :
         {FailoverRequest{}, FailoverRequest{"router2", "default", true}}) {
        EXPECT_EQ(parse_failover_request(to_json(request)), request);
    }
    EXPECT_EQ(parse_failover_request(""), FailoverRequest{});
    EXPECT_EQ(parse_failover_request(R"({"to":null})"), FailoverRequest{});
}

TEST(FailoverJson, AnOrderThatIsNotUnderstoodIsRefused) {
    const auto error = [](std::string_view text) {
        return parse_failover_request(text).error().message();
    };
    EXPECT_EQ(error(R"({"too":"router2"})"), "the request has an unknown key \"too\"");
    EXPECT_EQ(error(R"({"to":2})"), "the request \"to\" is not a string");
    EXPECT_EQ(error(R"({"force":"yes"})"), "the request \"force\" is not true or false");
    EXPECT_EQ(error("[]"), "the request is not an object");
}

TEST(FailoverJson, AnswerThereAndBack) {
    const FailoverAnswer answer{
        Outcome::done, "router2 leads", "", {{"default", "router1", "router2", 1.75}}};
    EXPECT_EQ(parse_failover_answer(to_json(answer)), answer);
    const ErrorText text =
        parse_error(to_json(FailoverAnswer{Outcome::refused, "it is worse", "use --force", {}}));
    EXPECT_EQ(text.error, "it is worse");
    EXPECT_EQ(text.remedy, "use --force");
    EXPECT_THAT(parse_error("<html>").error, HasSubstr("not understood"));
}

TEST(DrainJson, RequestThereAndBack) {
    EXPECT_EQ(to_json(DrainRequest{}), "{}");
    EXPECT_EQ(to_json(DrainRequest{true, 1500.0}), R"({"timeout_ms":1500})");
    for (const DrainRequest& request : {DrainRequest{}, DrainRequest{true, 0.0}}) {
        EXPECT_EQ(parse_drain_request(to_json(request)), request);
    }
    EXPECT_EQ(parse_drain_request(""), DrainRequest{});
    EXPECT_EQ(parse_drain_request(R"({"timeout_ms":null})"), DrainRequest{});
}

TEST(DrainJson, AnOrderThatIsNotUnderstoodIsRefused) {
    const auto error = [](std::string_view text) {
        return parse_drain_request(text).error().message();
    };
    const std::string range =
        "the request \"timeout_ms\" is not a number of milliseconds from 0 to 86400000";
    EXPECT_EQ(error(R"({"timeout":5})"), "the request has an unknown key \"timeout\"");
    EXPECT_EQ(error(R"({"timeout_ms":-1})"), range);
    EXPECT_EQ(error(R"({"timeout_ms":86400001})"), range);
    EXPECT_EQ(error(R"({"timeout_ms":1e999})"), range);
    EXPECT_EQ(error(R"({"timeout_ms":"5s"})"),
              "the request \"timeout_ms\" is not a number in range");
    EXPECT_TRUE(parse_empty_request(""));
    EXPECT_TRUE(parse_empty_request("{}"));
    EXPECT_EQ(parse_empty_request(R"({"now":1})").error().message(),
              "the request has an unknown key \"now\"");
    EXPECT_EQ(parse_empty_request("[]").error().message(), "the request is not an object");
}

TEST(DrainJson, AnswerThereAndBack) {
    const Answer answer{Outcome::done, "router1 drains", ""};
    EXPECT_EQ(parse_answer(to_json(answer)), answer);
    const ErrorText text = parse_error(to_json(Answer{Outcome::refused, "no peer", "heal one"}));
    EXPECT_EQ(text.error, "no peer");
    EXPECT_EQ(text.remedy, "heal one");
    EXPECT_FALSE(parse_answer("{}"));
}

TEST(BackendJson, ThereAndBack) {
    EXPECT_EQ(to_json(BackendRequest{true, "192.0.2.21:3306"}), R"({"address":"192.0.2.21:3306"})");
    EXPECT_EQ(parse_backend_request(R"({"address":"192.0.2.21"})"),
              (BackendRequest{true, "192.0.2.21"}));
    const auto error = [](std::string_view text) {
        return parse_backend_request(text).error().message();
    };
    EXPECT_EQ(error(""), "the request has no \"address\"");
    EXPECT_EQ(error(R"({"address":3306})"), "the request \"address\" is not a string");
    EXPECT_EQ(error(R"({"address":"a","wait":1})"), "the request has an unknown key \"wait\"");
    const BackendAnswer answer{Outcome::done,     "it is draining", "",
                               "192.0.2.21:3306", {"router2"},      {"route rw leads nowhere now"}};
    EXPECT_EQ(parse_backend_answer(to_json(answer)), answer);
    BackendAnswer refused;
    refused.outcome = Outcome::refused;
    refused.message = "router haproxy routes by itself";
    EXPECT_EQ(parse_error(to_json(refused)).error, refused.message);
}

TEST(CheckNames, FindsWhatNoDaemonHasToJudge) {
    Status status = sample_status();
    EXPECT_FALSE(check_names(status, {}));
    EXPECT_FALSE(check_names(status, {"router2", "reads", false}));
    const auto node = check_names(status, {"nosuch", std::nullopt, false});
    ASSERT_TRUE(node);
    EXPECT_EQ(node->outcome, Outcome::unknown);
    EXPECT_EQ(node->message,
              "unknown node \"nosuch\"; nodes of this cluster are: router1, router2, witness1");
    const auto group = check_names(status, {std::nullopt, "writes", false});
    ASSERT_TRUE(group);
    EXPECT_EQ(group->message,
              "unknown group \"writes\"; groups of this cluster are: default, reads");
    const auto witness = check_names(status, {"witness1", std::nullopt, true});
    ASSERT_TRUE(witness);
    EXPECT_EQ(witness->outcome, Outcome::refused);
    EXPECT_EQ(witness->message, "witness1 is a witness and never leads");
    status.node = "witness1";
    EXPECT_EQ(check_names(status, {})->message, "this node, witness1, is a witness");
}

}  // namespace
}  // namespace hamr::control
