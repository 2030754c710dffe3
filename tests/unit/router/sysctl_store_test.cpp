// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/sysctl_store.hpp"

#include "tests/unit/router/lab_net.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router_io {
namespace {

using router::Sysctl;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// A store over files that look like settings.
class SysctlStoreTest : public testing::Test {
  protected:
    void put(const std::string& path, const std::string& value) {
        const std::filesystem::path full = root() + "/" + path;
        std::filesystem::create_directories(full.parent_path());
        std::ofstream(full) << value << "\n";
    }
    [[nodiscard]] std::string get(const std::string& path) const {
        std::ifstream file(root() + "/" + path);
        std::string value;
        std::getline(file, value);
        return value;
    }
    [[nodiscard]] std::string root() const { return folder_.path() + "/sys"; }
    [[nodiscard]] std::string record() const { return folder_.path() + "/sysctls"; }
    [[nodiscard]] SysctlStore store() const { return SysctlStore(record(), root()); }

    lab::TemporaryFolder folder_;
};

TEST_F(SysctlStoreTest, writes_and_puts_back) {
    put("net/a", "0");
    put("net/b", "7\t8");
    put("net/same", "1");
    const auto applied =
        store().apply({{"net/a", "1", "why"}, {"net/b", "9", "why"}, {"net/same", "1", "why"}});
    ASSERT_TRUE(applied) << applied.error().message();
    EXPECT_THAT(applied->written, SizeIs(2));
    EXPECT_EQ(get("net/a"), "1");
    EXPECT_EQ(get("net/b"), "9");
    const auto restored = store().restore();
    ASSERT_TRUE(restored) << restored.error().message();
    EXPECT_EQ(get("net/a"), "0");
    EXPECT_EQ(get("net/b"), "7\t8");
    EXPECT_FALSE(std::filesystem::exists(record()));
    EXPECT_TRUE(store().restore()) << "nothing recorded, nothing done";
}

TEST_F(SysctlStoreTest, a_second_start_keeps_the_originals) {
    put("net/a", "0");
    ASSERT_TRUE(store().apply({{"net/a", "1", ""}}));
    ASSERT_TRUE(store().apply({{"net/a", "2", ""}}));
    EXPECT_EQ(get("net/a"), "2");
    const auto originals = store().originals();
    ASSERT_TRUE(originals);
    EXPECT_THAT(*originals, ElementsAre(Sysctl{"net/a", "0", ""}));
    ASSERT_TRUE(store().restore());
    EXPECT_EQ(get("net/a"), "0");
}

TEST_F(SysctlStoreTest, the_record_is_there_before_the_change) {
    put("net/a", "0");
    std::filesystem::create_directories(root() + "/net/b");  // reads and writes of it fail
    const auto applied = store().apply({{"net/a", "1", ""}, {"net/b", "1", ""}});
    ASSERT_FALSE(applied);
    EXPECT_THAT(applied.error().message(), HasSubstr("net/b"));
    EXPECT_EQ(get("net/a"), "0") << "nothing is changed while the list is still being read";
    SysctlStore nowhere(folder_.path() + "/absent/record", root());
    EXPECT_FALSE(nowhere.apply({{"net/a", "1", ""}}));
    EXPECT_EQ(get("net/a"), "0") << "no record, no change";
}

TEST_F(SysctlStoreTest, what_somebody_else_changed_stays_theirs) {
    put("net/a", "0");
    ASSERT_TRUE(store().apply({{"net/a", "1", ""}}));
    put("net/a", "5");
    const auto restored = store().restore();
    ASSERT_TRUE(restored);
    EXPECT_THAT(restored->foreign, ElementsAre("net/a"));
    EXPECT_EQ(get("net/a"), "5");
}

TEST_F(SysctlStoreTest, an_interface_that_has_gone_is_no_error) {
    put("net/eth0/a", "0");
    ASSERT_TRUE(store().apply({{"net/eth0/a", "1", ""}}));
    std::filesystem::remove_all(root() + "/net/eth0");
    EXPECT_TRUE(store().restore());
    EXPECT_FALSE(std::filesystem::exists(record()));
}

TEST_F(SysctlStoreTest, conditions_and_missing_settings) {
    put("net/a", "2");
    const auto applied = store().apply({{"net/a", "9", "", "1"}, {"net/none", "1", "", {}, true}});
    ASSERT_TRUE(applied);
    EXPECT_EQ(get("net/a"), "2");
    EXPECT_THAT(applied->missing, ElementsAre("net/none"));
    const auto refused = store().apply({{"net/none", "1", ""}});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("net/none"));
}

TEST_F(SysctlStoreTest, a_record_of_another_boot_is_dropped) {
    put("net/a", "1");
    std::ofstream(record()) << "hamr-sysctls 1 another-boot\nnet/a\n0\n1\n";
    const auto restored = store().restore();
    ASSERT_TRUE(restored);
    EXPECT_THAT(restored->written, IsEmpty());
    EXPECT_EQ(get("net/a"), "1");
}

TEST_F(SysctlStoreTest, rubbish_is_refused_and_kept) {
    std::ofstream(record()) << "rubbish\n";
    EXPECT_FALSE(store().restore());
    EXPECT_TRUE(std::filesystem::exists(record()));
}

TEST_F(SysctlStoreTest, the_real_kernel_and_back) {
    HAMR_LAB_NEEDS_ROOT();
    const lab::Namespace ns;
    ASSERT_TRUE(ns);
    ASSERT_EQ(ns.sh("ip link add eth0.7 type veth peer name other"), 0);
    SysctlStore real(record());
    ns.in([&] {
        for (const bool ipv6 : {false, true}) {
            const bool per_link = real.exists("net/ipv6/conf/eth0.7/force_forwarding");
            const auto list = router::embedded_router_sysctls({{"eth0.7"}, ipv6, ipv6 && per_link});
            const auto applied = real.apply(list);
            ASSERT_TRUE(applied) << applied.error().message();
            EXPECT_EQ(ns.sh("test $(sysctl -n net/ipv4/conf/eth0.7/forwarding) = 1"), 0);
            const auto again = real.apply(list);
            ASSERT_TRUE(again);
            EXPECT_THAT(again->written, IsEmpty());
            const auto restored = real.restore();
            ASSERT_TRUE(restored) << restored.error().message();
            EXPECT_THAT(restored->written, SizeIs(applied->written.size()));
            EXPECT_THAT(restored->foreign, IsEmpty());
            EXPECT_EQ(ns.sh("test $(sysctl -n net/ipv4/conf/eth0.7/forwarding) = 0"), 0);
        }
    });
}

}  // namespace
}  // namespace hamr::router_io
