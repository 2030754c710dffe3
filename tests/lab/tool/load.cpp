// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/load.hpp"

#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/process.hpp"

#include <limits>
#include <memory>

#include <sys/resource.h>

namespace labtool {

namespace {

void allow_many_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

std::unique_ptr<Exchange> make_exchange(Args& args) {
    const hamr::Endpoint to = args.endpoint("--to");
    if (const auto statement = args.find("--statement")) {
        return std::make_unique<MysqlExchange>(to, args.text("--user", "root"),
                                               args.text("--password", ""), *statement);
    }
    const std::int64_t question = args.integer("--question", 100);
    const std::int64_t answer = args.integer("--answer", 200);
    if (question < static_cast<std::int64_t>(Question::header_size) ||
        question > static_cast<std::int64_t>(Question::most) || answer < 1) {
        usage_error("--question: 32 to 65536 bytes, --answer: at least one");
    }
    return std::make_unique<ServeExchange>(to, static_cast<std::uint32_t>(question),
                                           static_cast<std::uint64_t>(answer));
}

}  // namespace

int load(Args args) {
    allow_many_files();
    const auto exchange = make_exchange(args);
    LoadPlan plan;
    plan.connections = static_cast<std::size_t>(args.integer("--connections", 1));
    plan.every_ns = args.integer("--every-us", 0) * 1000;
    plan.per_connection = static_cast<std::uint64_t>(args.integer("--per-connection", 0));
    plan.grace_ns = args.integer("--grace-ms", 0) * 1'000'000;
    const std::int64_t warm_up = args.integer("--warmup-ms", 0) * 1'000'000;
    const std::int64_t duration = args.integer("--duration-ms", 0) * 1'000'000;
    args.refuse_unknown();
    if (plan.connections < 1) usage_error("--connections: at least one");

    Load load(*exchange, plan);
    if (auto connected = load.connect_all(); !connected) {
        std::fprintf(stderr, "labtool: %s\n", connected.error().message().c_str());
        return 1;
    }
    print_ready();
    load.begin();
    if (warm_up > 0) load.run(now_ns() + warm_up);
    load.reset_counters();
    print_line(R"({"event":"measuring"})");
    load.run(duration > 0 ? now_ns() + duration : std::numeric_limits<std::int64_t>::max());
    print_line(load.finish());
    return 0;
}

}  // namespace labtool
