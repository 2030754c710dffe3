// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/nft.hpp"
#include "router/ruleset.hpp"
#include "tests/unit/router/lab_net.hpp"
#include "tests/unit/router/sample_ruleset.hpp"

#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

// The reset sets in a real kernel; what packets make of the rules is seen in
// tests/lab/test_rules.py.

namespace hamr::router_io {
namespace {

using router::Way;

class ResetSets : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_ROOT();
        ns_.emplace();
        ASSERT_TRUE(*ns_);
        load(router::render(router::sample_ruleset()).text);
    }

    void load(const std::string& text) {
        const auto loaded = ns_->in([&] { return apply_blocking(text); });
        ASSERT_TRUE(loaded) << loaded.error().message();
    }
    /// How many elements the set has, each of which prints when it ends.
    [[nodiscard]] bool holds(const std::string& set, std::size_t elements) const {
        return ns_->sh("test $(nft list set inet hamr " + set +
                       " | grep -o expires | wc -l) = " + std::to_string(elements)) == 0;
    }

    std::optional<lab::Namespace> ns_;
};

TEST_F(ResetSets, elements_outlive_the_rules_that_they_were_loaded_with) {
    const std::vector<Way> ways = {
        {*Endpoint::parse("192.0.2.50:40000"), *Endpoint::parse("192.0.2.100:6446")},
        {*Endpoint::parse("[2001:db8::50]:40000"), *Endpoint::parse("[2001:db8::100]:6446")}};
    for (const std::string& text : router::render_resets(ways)) load(text);
    router::RulesetInput other = router::sample_ruleset();
    other.routes[0].backends.clear();
    load(router::render(other).text);
    EXPECT_TRUE(holds("reset4", 1));
    EXPECT_TRUE(holds("reset6", 1));
    EXPECT_NE(ns_->sh("nft list chain inet hamr choose | grep -q 'dport 6446'"), 0)
        << "and the rules are the new ones";
    for (const std::string& text : router::render_resets(ways)) load(text);
    load(router::render_removal());
    load(router::render(router::sample_ruleset()).text);
    EXPECT_TRUE(holds("reset4", 0)) << "they go with the table";
}

TEST_F(ResetSets, ten_thousand_flows_at_once) {
    std::vector<Way> ways;
    for (std::uint16_t port = 20'000; port < 30'000; ++port) {
        ways.push_back(
            {{*IpAddress::parse("192.0.2.50"), port}, {*IpAddress::parse("192.0.2.100"), 6446}});
        ways.push_back(
            {{*IpAddress::parse("198.51.100.21"), 3306}, {*IpAddress::parse("192.0.2.100"), port}});
    }
    const BootTime begun = BootClock::now();
    for (const std::string& text : router::render_resets(ways)) load(text);
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(BootClock::now() - begun);
    std::cout << "10,000 flows, " << ways.size() << " ways: " << took.count() << " ms\n";
    EXPECT_LT(took, router::reset_time) << "the first have not ended before the last are there";
}

}  // namespace
}  // namespace hamr::router_io
