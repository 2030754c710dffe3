// SPDX-License-Identifier: GPL-2.0-or-later
// Which frames of a peer to believe: docs/protocol.md, rules A6 to A13.

#include "election/peer_link.hpp"

#include <gtest/gtest.h>

namespace hamr::election {

namespace {

using namespace std::chrono_literals;

constexpr NodeId me{1};
constexpr NodeId peer{2};
constexpr BootId my_boot{100};
constexpr BootId my_earlier_boot{99};
constexpr Sequence my_newest{50};

class Link : public ::testing::Test {
  protected:
    static Frame frame(BootId boot, std::uint64_t sequence) {
        Frame frame;
        frame.sender = peer;
        frame.boot = boot;
        frame.sequence = Sequence{sequence};
        return frame;
    }
    static Frame echoing(BootId boot, std::uint64_t sequence, BootId of, std::uint64_t newest) {
        Frame result = frame(boot, sequence);
        result.echoes.push_back({me, of, Sequence{newest}, {}});
        return result;
    }
    PeerLink::Judgement judge(const Frame& frame, int path = 0) {
        return link.judge(now, frame, path, me, my_boot, my_newest);
    }
    /// "used", "greeted", "late", "duplicate" or "replayed".
    std::string verdict(const Frame& frame, int path = 0) {
        const auto judgement = judge(frame, path);
        switch (judgement.verdict) {
            case Verdict::used:
                return "used";
            case Verdict::greeted:
                return "greeted";
            case Verdict::late:
                return "late";
            case Verdict::duplicate:
                return "duplicate";
            case Verdict::dropped:
                return std::string(to_string(judgement.reason));
        }
        return "?";
    }
    std::vector<Echo> echoes() {
        std::vector<Echo> list;
        link.append_echoes(now, peer, HealthEpoch{}, list);
        return list;
    }
    void confirm(BootId boot = BootId{7}, std::uint64_t sequence = 10, std::uint64_t echo = 20) {
        ASSERT_EQ(verdict(echoing(boot, sequence, my_boot, echo)), "used");
    }

    PeerLink link;
    BootTime now{1000s};
};

TEST_F(Link, A8_a_boot_is_confirmed_by_an_echo_of_this_life) {
    EXPECT_FALSE(link.heard());
    const auto judgement = judge(echoing(BootId{7}, 10, my_boot, 20));
    EXPECT_EQ(judgement.verdict, Verdict::used);
    EXPECT_TRUE(judgement.new_boot);
    EXPECT_TRUE(link.heard());
    EXPECT_EQ(link.echoed(), Sequence{20});
    EXPECT_EQ(verdict(frame(BootId{7}, 11)), "used") << "from then on rising sequences suffice";
}

TEST_F(Link, A8_an_echo_of_a_frame_that_was_never_sent_confirms_nothing) {
    EXPECT_EQ(verdict(echoing(BootId{7}, 10, my_boot, my_newest.value + 1)), "greeted");
    EXPECT_EQ(verdict(echoing(BootId{7}, 11, my_boot, UINT64_MAX)), "greeted");
    EXPECT_FALSE(link.heard());
}

TEST_F(Link, A9_a_stranger_greets_and_is_echoed_for_3_s) {
    EXPECT_EQ(verdict(frame(BootId{7}, 10)), "greeted");
    EXPECT_EQ(verdict(echoing(BootId{7}, 11, my_earlier_boot, 4)), "greeted");
    ASSERT_EQ(echoes().size(), 1U);
    EXPECT_EQ(echoes()[0], (Echo{peer, BootId{7}, Sequence{11}, {}}));
    EXPECT_EQ(verdict(frame(BootId{7}, 11)), "late") << "the same again";
    now += 3s;
    EXPECT_TRUE(echoes().empty());
}

TEST_F(Link, A9_two_strangers_are_kept_the_newest_win) {
    confirm();
    for (const std::uint64_t boot : {21, 22, 23}) {
        EXPECT_EQ(verdict(frame(BootId{boot}, 1)), "greeted");
    }
    const auto list = echoes();
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[0].boot, BootId{7});
    EXPECT_EQ(list[1].boot, BootId{22});
    EXPECT_EQ(list[2].boot, BootId{23});
}

TEST_F(Link, A9_greetings_are_answered_but_not_without_end) {
    EXPECT_TRUE(link.may_greet(now, 5ms, true));
    EXPECT_FALSE(link.may_greet(now, 5ms, false)) << "within I/2";
    int answered = 0;
    for (int i = 0; i < 1000; ++i) answered += link.may_greet(now, 5ms, true) ? 1 : 0;
    EXPECT_EQ(answered, 8) << "recorded greetings of many boots make no flood";
    now += 5ms;
    EXPECT_TRUE(link.may_greet(now, 5ms, false));
}

TEST_F(Link, A10_a_new_boot_retires_the_former) {
    confirm(BootId{7}, 10, 20);
    confirm(BootId{8}, 1, 21);
    EXPECT_EQ(verdict(frame(BootId{7}, 11)), "replayed");
    EXPECT_EQ(verdict(echoing(BootId{7}, 12, my_boot, 30)), "replayed") << "whatever it echoes";
}

TEST_F(Link, A10_a_boot_that_a_late_frame_of_an_older_one_has_retired_comes_back) {
    confirm(BootId{7}, 10, 20);
    confirm(BootId{9}, 5, 21);
    // Boot 8 lived before 9; its frame was long on its way, and echoes more.
    confirm(BootId{8}, 25, 30);
    EXPECT_EQ(verdict(echoing(BootId{9}, 6, my_boot, 50)), "replayed") << "sent before that";
    Frame fresh = echoing(BootId{9}, 7, my_boot, 51);
    EXPECT_EQ(link.judge(now, fresh, 0, me, my_boot, Sequence{51}).verdict, Verdict::used);
    EXPECT_EQ(link.boot(), BootId{9});
    Frame late = echoing(BootId{8}, 26, my_boot, 51);
    EXPECT_EQ(link.judge(now, late, 0, me, my_boot, Sequence{51}).verdict, Verdict::dropped);
}

TEST_F(Link, A10_the_last_eight_retired_are_remembered) {
    for (std::uint64_t boot = 1; boot <= 9; ++boot) confirm(BootId{boot}, 1, 20 + boot);
    for (std::uint64_t boot = 1; boot <= 8; ++boot) {
        EXPECT_EQ(verdict(echoing(BootId{boot}, 2, my_boot, 40)), "replayed") << boot;
    }
    // An older one is known by what it echoes: it was recorded before the present one's.
    confirm(BootId{10}, 1, 45);
    EXPECT_EQ(verdict(echoing(BootId{1}, 2, my_boot, 40)), "replayed");
}

TEST_F(Link, A11_who_echoes_an_earlier_life_or_less_than_before_is_a_recording) {
    confirm(BootId{7}, 10, 20);
    EXPECT_EQ(verdict(echoing(BootId{6}, 90, my_earlier_boot, 33)), "replayed");
    EXPECT_EQ(verdict(echoing(BootId{6}, 90, my_boot, 19)), "replayed");
    EXPECT_EQ(verdict(frame(BootId{8}, 1)), "greeted") << "a true new life knows nothing yet";
    EXPECT_EQ(link.boot(), BootId{7});
}

TEST_F(Link, A12_what_was_seen_on_the_same_path_is_replayed) {
    confirm();
    EXPECT_EQ(verdict(frame(BootId{7}, 11), 0), "used");
    EXPECT_EQ(verdict(frame(BootId{7}, 11), 0), "replayed");
    EXPECT_EQ(verdict(frame(BootId{7}, 10), 0), "replayed") << "the confirming one, too";
}

TEST_F(Link, A12_a_copy_over_another_path_is_no_drop_but_only_once) {
    confirm();
    EXPECT_EQ(verdict(frame(BootId{7}, 11), 0), "used");
    EXPECT_EQ(verdict(frame(BootId{7}, 11), 6), "duplicate");
    EXPECT_EQ(verdict(frame(BootId{7}, 11), 6), "replayed");
}

TEST_F(Link, A12_a_copy_from_nobodys_address_is_replayed) {
    confirm();
    EXPECT_EQ(verdict(frame(BootId{7}, 11), 0), "used");
    EXPECT_EQ(verdict(frame(BootId{7}, 11), unknown_path), "replayed");
    EXPECT_EQ(verdict(frame(BootId{7}, 12), unknown_path), "used") << "it may have been translated";
}

TEST_F(Link, A12_older_than_the_64_newest_is_replayed) {
    confirm(BootId{7}, 1000);
    EXPECT_EQ(verdict(frame(BootId{7}, 937)), "late");
    EXPECT_EQ(verdict(frame(BootId{7}, 936)), "replayed");
    EXPECT_EQ(verdict(frame(BootId{7}, 936), 3), "replayed") << "on a path that saw nothing yet";
}

TEST_F(Link, A13_new_but_older_than_the_newest_is_late) {
    confirm();
    EXPECT_EQ(verdict(frame(BootId{7}, 15)), "used");
    now += 1ms;
    const BootTime heard = link.last_heard();
    EXPECT_EQ(verdict(echoing(BootId{7}, 14, my_boot, 45)), "late");
    EXPECT_EQ(link.last_heard(), heard) << "it says nothing about now";
    EXPECT_EQ(link.echoed(), Sequence{20}) << "nor about leases";
}

TEST_F(Link, A13_what_is_echoed_never_falls) {
    confirm(BootId{7}, 10, 20);
    EXPECT_EQ(verdict(echoing(BootId{7}, 11, my_boot, 15)), "used");
    EXPECT_EQ(link.echoed(), Sequence{20});
}

// An authenticated but broken peer says the last sequence of all: it silences itself until it
// starts again, and nobody else.
TEST_F(Link, the_last_sequence_harms_only_its_sender) {
    confirm();
    EXPECT_EQ(verdict(frame(BootId{7}, UINT64_MAX)), "used");
    EXPECT_EQ(verdict(frame(BootId{7}, 12)), "replayed");
    confirm(BootId{8}, 1, 25);
    EXPECT_EQ(verdict(frame(BootId{8}, 2)), "used");
}

}  // namespace

}  // namespace hamr::election
