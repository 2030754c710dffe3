// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/changes.hpp"

#include <string>

#include <gmock/gmock.h>

namespace hamr::daemon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* shop = R"(cluster: shop
nodes:
  router1: 192.0.2.11
  router2: 192.0.2.12
key_file: /etc/hamr/hamr.key
heartbeat: {interval: 100ms, misses: 3}
vips:
  writes: 192.0.2.100/24
router:
  backends: [192.0.2.21:3306]
  monitor: {user: hamr}
)";

Inputs inputs(std::string text = shop) {
    Inputs read;
    read.config = config::parse(text, "shop.yaml").config;
    return read;
}

std::vector<std::string> with(const std::string& old, const std::string& next) {
    std::string text = shop;
    text.replace(text.find(old), old.size(), next);
    return changes(inputs(), inputs(text));
}

TEST(Changes, are_told_in_words) {
    EXPECT_THAT(changes(inputs(), inputs()), IsEmpty());
    EXPECT_THAT(with("key_file", "  witness1: {addresses: [192.0.2.13], role: witness}\nkey_file"),
                ElementsAre("witness1 joins", "quorum none, now majority"));
    EXPECT_THAT(with("  router2: 192.0.2.12\n", ""), testing::Contains("router2 leaves"));
    EXPECT_THAT(with("192.0.2.12", "192.0.2.14"), ElementsAre("router2 has other addresses"));
    EXPECT_THAT(
        with("100ms, misses: 3", "50ms, misses: 4, port: 9000"),
        ElementsAre("interval 100 ms, now 50 ms", "misses 3, now 4", "port 8112, now 9000"));
    EXPECT_THAT(with("writes: 192.0.2.100/24", "writes: 192.0.2.101/24"),
                ElementsAre("group writes has other addresses"));
    EXPECT_THAT(with("writes:", "reads: 192.0.2.101/24\n  writes:"),
                ElementsAre("group reads is new"));
    EXPECT_THAT(with("writes:", "reads:"),
                ElementsAre("group reads is new", "group writes is gone"));
    EXPECT_THAT(
        with("writes: 192.0.2.100/24", "writes: {addresses: 192.0.2.100/24, failback: true}"),
        ElementsAre("group writes is set otherwise"));
    EXPECT_THAT(with("21:3306", "22:3306"), ElementsAre("other backends"));
    EXPECT_THAT(with("user: hamr", "user: other"), ElementsAre("another monitor account"));
    EXPECT_THAT(with("key_file", "announce: {refresh: 30s}\nkey_file"),
                ElementsAre("other settings"));
}

TEST(Changes, secrets_count_and_are_not_told) {
    Inputs next = inputs();
    next.keys.push_back(config::generate_key());
    next.monitor_password = "secret";
    EXPECT_THAT(changes(inputs(), next), ElementsAre("another monitor account", "other keys"));
}

}  // namespace
}  // namespace hamr::daemon
