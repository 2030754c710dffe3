// SPDX-License-Identifier: GPL-2.0-or-later
// Every state meets every input: the whole table, as it is. A change of the machine shows here as a
// changed cell; read it, then write it down.

#include "tests/unit/router/supervision_machine.hpp"

#include <functional>
#include <iomanip>
#include <optional>
#include <sstream>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace hamr::router::testing {

namespace {

struct Row {
    const char* name;
    std::function<void(Machine&)> step;
};

void up(Machine& m) {
    m.start();
}
void running(Machine& m) {
    m.start();
    m(input::Serves{});
    m.now += Supervision::settled;
}
void waiting(Machine& m) {
    running(m);
    m.crash();  // started again at once
    m(input::Started{101});
    m.crash();
}
void failed(Machine& m) {
    up(m);
    for (int i = 0; i < 4; ++i) {
        m.crash();
        m.pass(5s);
        m(input::Started{101});
    }
    m.crash();
}

const std::vector<Row> states = {
    {"unknown", [](Machine&) {}},
    {"off", [](Machine& m) { m(input::FoundNothing{}); }},
    {"launching", [](Machine& m) { m(input::FoundNothing{}), m(input::Want{true}); }},
    {"starting", up},
    {"running", running},
    {"stopping", [](Machine& m) { running(m), m(input::Want{false}); }},
    {"finishing", [](Machine& m) { running(m), m(input::Finish{m.now + 60s}); }},
    {"ending",
     [](Machine& m) {
         running(m), m(input::Exited{"exited with code 1", false, ""});
     }},
    {"waiting", waiting},
    {"failed", failed},
    {"systemd's", [](Machine& m) { running(m), m(input::Restarting{"failed"}); }},
};

const std::vector<Row> inputs = {
    {"found nothing", [](Machine& m) { m(input::FoundNothing{}); }},
    {"found running",
     [](Machine& m) {
         m(input::FoundRunning{7, m.now - 5s});
     }},
    {"found another",
     [](Machine& m) {
         m(input::FoundOther{7, "other"});
     }},
    {"lost", [](Machine& m) { m(input::Lost{"no bus"}); }},
    {"want", [](Machine& m) { m(input::Want{true}); }},
    {"do not want", [](Machine& m) { m(input::Want{false}); }},
    {"finish", [](Machine& m) { m(input::Finish{m.now + 9s}); }},
    {"stop", [](Machine& m) { m(input::Stop{}); }},
    {"reload", [](Machine& m) { m(input::Reload{}); }},
    {"started", [](Machine& m) { m(input::Started{8}); }},
    {"start failed", [](Machine& m) { m(input::StartFailed{"no such file"}); }},
    {"exited",
     [](Machine& m) {
         m(input::Exited{"exited with code 1", false, ""});
     }},
    {"gone", [](Machine& m) { m(input::Gone{}); }},
    {"restarting", [](Machine& m) { m(input::Restarting{"failed"}); }},
    {"judged good", [](Machine& m) { m(input::Judged{}); }},
    {"finish refused",
     [](Machine& m) {
         m(input::Answered{Ask::finish, fail("no")});
     }},
    {"stop refused",
     [](Machine& m) {
         m(input::Answered{Ask::stop, fail("no")});
     }},
    {"reload refused",
     [](Machine& m) {
         m(input::Answered{Ask::reload, fail("no")});
     }},
    {"serves", [](Machine& m) { m(input::Serves{}); }},
    {"a second passes", [](Machine& m) { m.now += 1s, m(input::Tick{}); }},
    {"a minute passes", [](Machine& m) { m.now += 60s, m(input::Tick{}); }},
};

/// Columns `from` to `to` of the table.
std::string table(std::size_t from, std::size_t to) {
    std::ostringstream out;
    const auto line = [&out](const std::vector<std::string>& cells) {
        std::ostringstream text;
        text << std::left << std::setw(16) << cells[0];
        for (std::size_t i = 1; i < cells.size(); ++i) text << ' ' << std::setw(12) << cells[i];
        std::string whole = text.str();
        whole.erase(whole.find_last_not_of(' ') + 1);
        out << whole << '\n';
    };
    std::vector<std::string> head{""};
    for (std::size_t i = from; i < to; ++i) head.emplace_back(states[i].name);
    line(head);
    for (const Row& input : inputs) {
        std::vector<std::string> cells{input.name};
        for (std::size_t i = from; i < to; ++i) {
            Machine m;
            states[i].step(m);
            m.newest.clear();
            input.step(m);
            const std::string actions = letters(m.newest);
            cells.push_back(std::string(to_string(m.state())) +
                            (actions.empty() ? "" : " " + actions));
        }
        line(cells);
    }
    return out.str();
}

constexpr const char* before_the_end = R"(
                 unknown      off          launching    starting     running      stopping
found nothing    off          off          starting     starting     running      stopping
found running    starting     off          starting     starting     running      stopping
found another    stopping Qs  off          starting     starting     running      stopping
lost             failed       off          starting S   starting     running      stopping
want             off          starting S   starting     starting     running      stopping
do not want      off          off          stopping Qs  stopping Qs  stopping Qs  stopping
finish           off          off          stopping Qs  finishing    finishing Qf stopping
stop             off          off D        stopping Qs  stopping Qs  stopping Qs  stopping
reload           off J        off J        starting J   starting J   running J    stopping J
started          off          starting     starting     starting     running      stopping
start failed     off          off          starting S   starting     running      off
exited           off          off          waiting CE   waiting CE   waiting CE   stopping Ep
gone             off          off          starting CS  starting CS  starting CS  off
restarting       off          waiting      waiting C    waiting C    waiting C    stopping
judged good      off          off          starting     starting     running      stopping
finish refused   off          off          starting     starting     running      stopping
stop refused     off          off          starting     starting     running      stopping
reload refused   off          off          starting     starting     running      stopping
serves           off          off          starting     running      running      stopping
a second passes  off          off          starting     starting     running      stopping
a minute passes  off          off          starting     starting     running      stopping K
)";

constexpr const char* after_it = R"(
                 finishing    ending       waiting      failed       systemd's
found nothing    finishing    waiting      waiting      failed       waiting
found running    finishing    waiting      waiting      failed       waiting
found another    finishing    waiting      waiting      failed       waiting
lost             finishing    waiting      waiting      failed       waiting
want             stopping Qs  waiting      waiting      failed       waiting
do not want      finishing    stopping     off          off          stopping Qs
finish           finishing    stopping     off          off          stopping Qs
stop             stopping Qs  stopping     off D        off D        stopping Qs
reload           finishing J  waiting J    waiting J    failed J     waiting J
started          finishing    starting     starting     starting     starting
start failed     finishing    waiting      waiting      failed       waiting
exited           stopping Ep  waiting      waiting      failed       waiting
gone             off          starting S   waiting      failed       starting S
restarting       stopping Qs  waiting      waiting      waiting      waiting
judged good      finishing    waiting      waiting      failed       waiting
finish refused   finishing    waiting      waiting      failed       waiting
stop refused     finishing    waiting      waiting      failed       waiting
reload refused   finishing    waiting      waiting      failed       waiting
serves           finishing    waiting      waiting      failed       waiting
a second passes  finishing    waiting      starting S   failed       waiting
a minute passes  stopping Qs  waiting K    starting S   starting S   waiting
)";

TEST(SupervisionGrid, every_state_meets_every_input) {
    EXPECT_EQ("\n" + table(0, 6), before_the_end);
    EXPECT_EQ("\n" + table(6, states.size()), after_it);
}

/// The world that the machine acts on: it may lag behind, and it may fail.
struct World {
    unsigned instances = 0;
    unsigned leftovers = 0;
    bool answer_start = false;
    bool tell_gone = false;
    bool answer_reload = false;
    bool reload_open = false;
    std::vector<BootTime> starts;
};

void obey(World& world, const std::vector<Action>& actions, BootTime now) {
    for (const Action& it : actions) {
        if (std::holds_alternative<action::Start>(it)) {
            RC_ASSERT(world.instances == 0U);
            RC_ASSERT(world.leftovers == 0U);
            RC_ASSERT(!world.answer_start);
            world.answer_start = true;
            world.starts.push_back(now);
        }
        if (std::holds_alternative<action::EndRest>(it)) world.tell_gone = true;
        if (std::holds_alternative<action::Kill>(it)) world.leftovers = 0;
        if (std::holds_alternative<action::ReloadDone>(it)) world.reload_open = false;
        if (const auto* request = std::get_if<action::Request>(&it)) {
            world.answer_reload = world.answer_reload || request->what == Ask::reload;
        }
    }
}

/// One thing that may happen next, by a number.
std::optional<Input> happen(World& world, int what, BootTime now) {
    switch (what) {
        case 0:
            return input::Want{true};
        case 1:
            return input::Want{false};
        case 2:
            return input::Finish{now + 3s};
        case 3:
            return input::Stop{};
        case 4:
            return input::Reload{};
        case 5:
            return input::Judged{};
        case 6:
            return input::Judged{fail("bad")};
        case 7:
            return input::Serves{};
        case 8:
            return input::Answered{Ask::finish, fail("no")};
        case 9:
            return input::Answered{Ask::reload, {}};
        case 10:
            if (world.instances == 0) return std::nullopt;
            world.instances = 0;
            world.leftovers = static_cast<unsigned>(now.time_since_epoch().count() % 2);
            return input::Exited{"exited with code 0", true, ""};
        case 11:
            if (!world.tell_gone || world.leftovers > 0) return std::nullopt;
            world.tell_gone = false;
            return input::Gone{1, ""};
        case 12:
            world.leftovers = 0;
            return std::nullopt;
        default:
            return input::Tick{};
    }
}

TEST(SupervisionProperty, never_two_instances_and_never_stuck) {
    EXPECT_TRUE(rc::check([] {
        SupervisionSettings settings = Machine::defaults();
        settings.can_judge = *rc::gen::arbitrary<bool>();
        settings.can_reload = *rc::gen::arbitrary<bool>();
        settings.can_finish = *rc::gen::arbitrary<bool>();
        settings.can_resume = *rc::gen::arbitrary<bool>();
        settings.ends_when_finished = *rc::gen::arbitrary<bool>();
        Machine m(settings);
        World world;
        const auto step = [&](const Input& input) {
            if (std::holds_alternative<input::Reload>(input)) world.reload_open = true;
            m(input);
            obey(world, m.newest, m.now);
            if (std::exchange(world.answer_reload, false)) {
                m(input::Answered{Ask::reload, {}});
                obey(world, m.newest, m.now);
            }
            while (std::exchange(world.answer_start, false)) {
                const bool good = m.now.time_since_epoch().count() % 5 != 0;
                if (good) world.instances = 1;
                m(good ? Input(input::Started{9}) : Input(input::StartFailed{"no such file"}));
                obey(world, m.newest, m.now);
            }
        };
        step(input::FoundNothing{});
        const auto script = *rc::gen::container<std::vector<std::pair<int, int>>>(
            rc::gen::pair(rc::gen::inRange(0, 15), rc::gen::inRange(0, 4000)));
        for (const auto& [what, ms] : script) {
            m.now += std::chrono::milliseconds(ms) + std::chrono::nanoseconds(ms % 7);
            if (const auto input = happen(world, what, m.now)) step(*input);
        }
        // The world recovers, and the router is wanted: it must run, or be due to be started.
        for (int round = 0; round < 200; ++round) {
            world.leftovers = 0;
            if (const auto gone = happen(world, 11, m.now)) step(*gone);
            step(input::Judged{});
            step(input::Want{true});
            if (m.state() == RunState::stopping && world.instances > 0) {
                if (const auto exited = happen(world, 10, m.now)) step(*exited);
            }
            m.now += 1s;
            step(input::Tick{});
        }
        RC_ASSERT(m.state() == RunState::starting || m.state() == RunState::running ||
                  m.machine.next() != never);
        RC_ASSERT(!world.reload_open);
    }));
}

TEST(SupervisionProperty, at_most_five_starts_a_minute_unless_asked_for) {
    EXPECT_TRUE(rc::check([](std::vector<std::uint16_t> lives) {
        Machine m;
        m.start();
        std::vector<BootTime> starts{m.now};
        for (const std::uint16_t life : lives) {
            m.now += std::chrono::milliseconds(life);
            m(input::Exited{"exited with code 1", false, ""});
            m(input::Gone{});
            for (int i = 0; i < 10 && letters(m.newest).find('S') == std::string::npos; ++i) {
                m.now = std::max(m.now, m.machine.next());
                m(input::Tick{});
            }
            RC_ASSERT(letters(m.newest) == "S");
            starts.push_back(m.now);
            m(input::Started{5});
            const std::size_t n = starts.size();
            if (n > 5) RC_ASSERT(starts[n - 1] - starts[n - 6] >= Supervision::window);
        }
    }));
}

}  // namespace

}  // namespace hamr::router::testing
