// SPDX-License-Identifier: GPL-2.0-or-later
// Every state meets every event: the whole table, as it is. A change of the protocol shows here as
// a changed cell; read it, then write it down.

#include "tests/unit/election/node.hpp"

#include <iomanip>
#include <sstream>

namespace hamr::election::testing {

namespace {

/// Node a of three, brought into a state. In order of preference: b, a, c.
struct Table {
    explicit Table(Mode mode, bool witness = false)
        : node(Plan{
              .mode = mode,
              .witnesses = witness ? std::vector<std::string>{"a"} : std::vector<std::string>{},
              .prefer = {"b", "a", "c"}}) {
        b.mode = c.mode = mode;
        b.wants_answer = c.wants_answer = true;
    }
    Node node;
    Puppet b = Node::puppet("b");
    Puppet c = Node::puppet("c");
    const NodeId a = Node::id("a");
};

struct Row {
    const char* name;
    std::function<void(Table&)> step;
};

void ready(Table& t) {
    t.node.hear(t.b);
    t.node.hear(t.c);
}
void follow_c(Table& t) {
    ready(t);
    t.c.claim(Claim::leader, 5);
    t.c.promise(t.c.id, Term{5});
    t.node.hear(t.c);
}
void ask(Table& t) {
    ready(t);
    t.node.run(interval * 2);
}
void stand(Table& t) {
    ask(t);
    t.c.word.supports = t.a;
    t.node.hear(t.c);
    t.c.word.supports = no_node;
}
void lead(Table& t) {
    stand(t);
    t.c.promise(t.a, t.node.word().term);
    t.node.hear(t.c);
}

const std::vector<Row> majority_states = {
    {"starting", [](Table&) {}}, {"follower", ready}, {"of c", follow_c}, {"asking", ask},
    {"candidate", stand},        {"leader", lead},
};

const std::vector<Row> none_states = {
    {"follower", ready},
    {"of c", follow_c},
    {"leader", [](Table& t) { t.node.run(lease + interval), ready(t); }},
};

const std::vector<Row> events = {
    {"I passes", [](Table& t) { t.node.run(interval); }},
    {"D passes", [](Table& t) { t.node.run(lease); }},
    {"held up for D", [](Table& t) { t.node.now += lease, t.node.tick(); }},
    {"3 s pass", [](Table& t) { t.node.run(3s); }},
    {"b is heard", [](Table& t) { t.node.hear(t.b); }},
    {"b asks", [](Table& t) { t.b.claim(Claim::asking, 9), t.node.hear(t.b); }},
    {"c asks", [](Table& t) { t.c.claim(Claim::asking, 9), t.node.hear(t.c); }},
    {"b stands", [](Table& t) { t.b.claim(Claim::candidate, 9), t.node.hear(t.b); }},
    {"c stands", [](Table& t) { t.c.claim(Claim::candidate, 9), t.node.hear(t.c); }},
    {"c stands, old term", [](Table& t) { t.c.claim(Claim::candidate, 1), t.node.hear(t.c); }},
    {"b leads", [](Table& t) { t.b.claim(Claim::leader, 9), t.node.hear(t.b); }},
    {"c leads", [](Table& t) { t.c.claim(Claim::leader, 9), t.node.hear(t.c); }},
    {"b supports it", [](Table& t) { t.b.word.supports = t.a, t.node.hear(t.b); }},
    {"b promises it", [](Table& t) { t.b.promise(t.a, t.node.word().term), t.node.hear(t.b); }},
    {"b has seen term 40", [](Table& t) { t.b.word.seen = Term{40}, t.node.hear(t.b); }},
    {"b knows the last term", [](Table& t) { t.b.word.seen = last_term, t.node.hear(t.b); }},
    {"c releases", [](Table& t) { t.c.release(5), t.node.hear(t.c); }},
    {"c releases to it", [](Table& t) { t.c.release(5, t.a), t.node.hear(t.c); }},
    {"c releases to b", [](Table& t) { t.c.release(5, t.b.id), t.node.hear(t.c); }},
    {"b, other mode, stands",
     [](Table& t) {
         t.b.mode = t.b.mode == Mode::none ? Mode::majority : Mode::none;
         t.b.claim(Claim::candidate, 9), t.node.hear(t.b);
     }},
    {"b, another boot, leads",
     [](Table& t) { t.b.boot = BootId{2}, t.b.claim(Claim::leader, 9), t.node.hear(t.b); }},
    {"it gets sick", [](Table& t) { t.node.health(5); }},
    {"it gets sick, urgent", [](Table& t) { t.node.health(5, true); }},
    {"drain", [](Table& t) { t.node.drain(true); }},
    {"failover to b", [](Table& t) { t.node.failover(t.b.id); }},
    {"failover to c by force", [](Table& t) { t.c.demotion = 9, t.node.failover(t.c.id, true); }},
    {"stop", [](Table& t) { t.node.resign(); }},
};

std::string name(const Table& t, NodeId id) {
    return id == t.a ? "a" : id == t.b.id ? "b" : id == t.c.id ? "c" : "?";
}

/// The state afterwards, whom it promises or supports, whom it named, and whether its gate is open.
std::string outcome(Table& t) {
    static constexpr const char* claims[] = {"", "asking", "candidate", "leader"};
    Node& node = t.node;
    // A greeting is answered and not otherwise used: the answer tells what holds now.
    Puppet ghost = t.b;
    ghost.boot = BootId{0x6057};
    ghost.echo = Echo{};
    EXPECT_EQ(node.hear(ghost).verdict, Verdict::greeted);
    const GroupEntry& word = node.word();
    const auto claim = static_cast<std::size_t>(word.claim);
    std::string text = claim != 0 ? claims[claim] : std::string(to_string(node.state()));
    if (word.promised_to != no_node && word.promised_to != t.a) {
        text += "+" + name(t, word.promised_to);
    }
    if (word.supports != no_node) text += "~" + name(t, word.supports);
    if (word.successor != no_node) text += ">" + name(t, word.successor);
    const auto gates = node.all<SetGate>();
    if (!gates.empty() && gates.back().until > node.now) text += "|";
    return text;
}

std::string table(Mode mode) {
    const std::vector<Row>& states = mode == Mode::majority ? majority_states : none_states;
    std::ostringstream out;
    const auto line = [&out](const std::vector<std::string>& cells) {
        std::ostringstream text;
        text << std::left << std::setw(24) << cells[0];
        for (std::size_t i = 1; i < cells.size(); ++i) text << std::setw(11) << cells[i];
        std::string whole = text.str();
        whole.erase(whole.find_last_not_of(' ') + 1);
        out << whole << '\n';
    };
    std::vector<std::string> head{""};
    for (const Row& state : states) head.emplace_back(state.name);
    head.emplace_back("witness");
    line(head);
    for (const Row& event : events) {
        std::vector<std::string> cells{event.name};
        for (std::size_t s = 0; s <= states.size(); ++s) {
            const bool witness = s == states.size();
            Table t(mode, witness);
            witness ? ready(t) : states[s].step(t);
            event.step(t);
            cells.push_back(outcome(t));
        }
        line(cells);
    }
    return out.str();
}

// "+b" has promised b, "~b" supports b, ">b" has named b its successor, "|" its gate is open.
constexpr const char* majority = R"(
                        starting   follower   of c       asking     candidate  leader     witness
I passes                starting   asking     follower+c asking     candidate  leader|    witness
D passes                starting   asking     asking     asking     asking     asking     witness
held up for D           starting   asking     asking     asking     asking     asking     witness
3 s pass                asking     asking     asking     asking     asking     asking     witness
b is heard              starting   follower   follower+c asking     candidate  leader|    witness
b asks                  starting   follower~b follower+c follower~b candidate  leader|    witness~b
c asks                  starting   follower~c follower~c asking     candidate  leader|    witness~c
b stands                starting   follower+b follower+c follower+b follower+b leader|    witness+b
c stands                starting   follower+c follower+c follower+c candidate  leader|    witness+c
c stands, old term      starting   follower+c follower~c follower+c candidate  leader|    witness+c
b leads                 starting   follower+b follower+c follower+b follower+b leader|    witness+b
c leads                 starting   follower+c follower+c follower+c follower+c leader|    witness+c
b supports it           starting   follower   follower+c candidate  candidate  leader|    witness
b promises it           starting   follower   follower+c asking     leader|    leader|    witness
b has seen term 40      starting   follower   follower+c asking     candidate  leader|    witness
b knows the last term   starting   follower   follower+c follower   follower   leader|    witness
c releases              starting   follower   follower   asking     candidate  leader|    witness
c releases to it        starting   candidate  candidate  candidate  candidate  leader|    witness
c releases to b         starting   follower   follower   follower   candidate  leader|    witness
b, other mode, stands   starting   asking     follower+c asking     candidate  leader|    witness
b, another boot, leads  starting   follower+b follower+c follower+b follower+b leader|    witness+b
it gets sick            starting   follower   follower+c asking     candidate  leader|    witness
it gets sick, urgent    starting   follower   follower+c asking     candidate  follower>b witness
drain                   starting   drained    drained+c  drained    drained    drained>b  witness
failover to b           starting   follower   follower+c asking     candidate  follower>b witness
failover to c by force  starting   follower   follower+c asking     candidate  follower>c witness
stop                    starting   follower   follower+c follower   follower   follower>b witness
)";

constexpr const char* none = R"(
                        follower   of c       leader     witness
I passes                follower   follower+c leader|    witness
D passes                leader|    leader|    leader|    witness
held up for D           follower   follower   follower   witness
3 s pass                leader|    leader|    leader|    witness
b is heard              follower   follower+c leader|    witness
b asks                  follower   follower+c leader|    witness
c asks                  follower   follower+c leader|    witness
b stands                follower   follower+c leader|    witness
c stands                follower   follower+c leader|    witness
c stands, old term      follower   follower+c leader|    witness
b leads                 follower+b follower+b leader|    witness+b
c leads                 follower+c follower+c leader|    witness+c
b supports it           follower   follower+c leader|    witness
b promises it           follower   follower+c leader|    witness
b has seen term 40      follower   follower+c leader|    witness
b knows the last term   follower   follower+c leader|    witness
c releases              follower   follower   leader|    witness
c releases to it        leader|    leader|    leader|    witness
c releases to b         follower   follower   leader|    witness
b, other mode, stands   follower   follower+c leader|    witness
b, another boot, leads  follower+b follower+b leader|    witness+b
it gets sick            follower   follower+c leader|    witness
it gets sick, urgent    follower   follower+c follower>b witness
drain                   drained    drained+c  drained>b  witness
failover to b           follower   follower+c follower>b witness
failover to c by force  follower   follower+c follower>c witness
stop                    follower   follower+c follower>b witness
)";

TEST(Grid, majority) {
    EXPECT_EQ("\n" + table(Mode::majority), majority);
}

TEST(Grid, none) {
    EXPECT_EQ("\n" + table(Mode::none), none);
}

}  // namespace

}  // namespace hamr::election::testing
