// SPDX-License-Identifier: GPL-2.0-or-later
// Which step of the membership a node may take: docs/protocol.md, rule M18.

#include "election/membership.hpp"

#include "tests/unit/election/node.hpp"

namespace hamr::election::testing {

namespace {

using Names = std::vector<std::string>;

const Names three = {"a", "b", "c"};
const Names four = {"a", "b", "c", "d"};

Plan plan(Names nodes, Mode mode = Mode::majority, Timing timing = {interval, 3}) {
    return Plan{.mode = mode, .nodes = std::move(nodes), .prefer = {}, .timing = timing};
}

/// What a node knows of a peer.
struct Told {
    std::string name;
    std::optional<Plan> told;  ///< not heard when empty
    bool alive = true;
};

struct Row {
    const char* name;
    Plan now;
    Plan next;
    std::vector<Told> peers;
    const char* leader = "a";
    const char* why = "";  ///< part of the refusal; empty: allowed
    bool forcible = true;  ///< --force takes it all the same
};

Status status_of(const Row& row) {
    Status status;
    for (const std::string& node : row.now.nodes) {
        NodeStatus& known = status.nodes.emplace_back();
        known.name = node;
        known.alive = known.heard = node == row.now.self;
        for (const Told& told : row.peers) {
            if (told.name != node) continue;
            known.alive = told.alive && told.told.has_value();
            known.heard = told.told.has_value();
            if (told.told) known.told = membership(Node::settings_of(*told.told));
        }
    }
    GroupStatus& group = status.groups.emplace_back();
    group.name = "vip";
    group.leader = node_id(row.leader);
    return status;
}

std::optional<Refusal> judge(const Row& row, bool force) {
    return judge_step(Node::settings_of(row.now), Node::settings_of(row.next), status_of(row),
                      force);
}

TEST(Step, M18_the_table) {
    const Plan l3 = plan(three);
    const Plan l4 = plan(four);
    const Plan none2 = plan({"a", "b"}, Mode::none);
    const Plan fast = plan(three, Mode::majority, {interval / 2, 3});
    const Plan removed = plan({"a", "b", "d"});
    Plan other_cluster = l3;
    other_cluster.cluster = "other";
    Plan other_self = l3;
    other_self.self = "b";
    const std::vector<Told> all3 = {{"b", l3}, {"c", l3}};
    const std::vector<Told> all4 = {{"b", l4}, {"c", l4}, {"d", l4}};
    const Row rows[] = {
        {"nothing", l3, l3, {}},
        {"a node more", l3, l4, all3},
        {"a node less", l4, removed, all4},
        {"timers", l3, fast, all3},
        {"timers and a node", l3, plan(four, Mode::majority, {interval * 2, 2}), all3},
        {"from none to majority with a node more", none2, l3, {{"b", none2}}},
        {"from majority to none with a node less", l3, none2, all3},
        {"peers have taken this step already", l3, l4, {{"b", l4}, {"c", l3}}},
        {"a step back", l4, l3, {{"b", l4}, {"c", l4}, {"d", l4}}},

        {"another cluster", l3, other_cluster, all3, "a", "another cluster", false},
        {"without this node", l3, plan({"b", "c"}), all3, "a", "not in the file", false},
        {"another name", l3, other_self, all3, "a", "this host is b", false},
        {"two nodes more", l3, plan({"a", "b", "c", "d", "e"}), all3, "a", "d joins, e joins",
         false},
        {"one for another", l3, removed, all3, "a", "d joins, c leaves", false},

        {"a voter of the present list has not taken the last step",
         l4,
         removed,
         {{"b", l4}, {"c", l3}, {"d", l4}},
         "a",
         "has not reached c (it does not know d)"},
        // {a, b, c} for c, {a, b, d} for b and d: c with a, and b with d, are two majorities.
        {"the one to be removed counts, too",
         l4,
         removed,
         {{"b", l4}, {"c", l3}, {"d", l4}},
         "a",
         "c"},
        {"nor has the one that the last step added",
         l4,
         plan({"a", "b", "c", "d", "e"}),
         {{"b", l4}, {"c", l4}, {"d", {}}},
         "a",
         "d has not been heard"},
        {"a silent voter that had taken it", l4, removed, {{"b", l4}, {"c", l4, false}, {"d", l4}}},
        {"a silent voter that had not",
         l4,
         removed,
         {{"b", l4}, {"c", l3, false}, {"d", l4}},
         "a",
         "c, now silent, had not taken over the last change"},
        {"never heard", l3, l4, {{"b", l3}, {"c", {}}}, "a", "c has not been heard"},
        {"other timers there", l3, l4, {{"b", fast}, {"c", l3}}, "a", "interval 5 ms, here 10 ms"},
        {"another mode there",
         none2,
         l3,
         {{"b", plan({"a", "b"})}},
         "a",
         "quorum majority, here none"},
        {"timers while others differ", l3, fast, {{"b", l4}, {"c", l3}}, "a", "has not reached b"},
        {"the leader is taken out", l4, removed, all4, "c", "c, which leaves, leads vip"},
        {"no majority of the new list is alive",
         l3,
         l4,
         {{"b", l3}, {"c", l3, false}},
         "a",
         "of the 4 nodes in the file 3 are needed to lead"},
        {"one of five may be away",
         l4,
         plan({"a", "b", "c", "d", "e"}),
         {{"b", l4}, {"c", l4}, {"d", l4, false}}},
    };
    for (const Row& row : rows) {
        const auto refusal = judge(row, false);
        const std::string why = refusal ? refusal->why : "";
        EXPECT_EQ(refusal.has_value(), *row.why != '\0') << row.name << ": " << why;
        EXPECT_NE(why.find(row.why), std::string::npos) << row.name << ": " << why;
        EXPECT_EQ(refusal && refusal->remedy.empty(), false) << row.name;
        EXPECT_EQ(judge(row, true).has_value(), !row.forcible) << row.name << " by force";
        EXPECT_EQ(refusal && refusal->final, !row.forcible) << row.name;
    }
}

TEST(Step, differences_are_told_by_name_where_a_name_is_known) {
    const Settings mine = Node::settings_of(plan(three));
    EXPECT_TRUE(differences(mine, membership(mine)).empty());
    const auto words = differences(
        mine,
        membership(Node::settings_of(plan({"a", "b", "x", "y"}, Mode::none, {interval * 2, 4}))));
    EXPECT_EQ(words,
              (std::vector<std::string>{
                  "it does not know c", "it counts 2 nodes that this one does not know",
                  "quorum none, here majority", "interval 20 ms, here 10 ms", "misses 4, here 3"}));
}

}  // namespace

}  // namespace hamr::election::testing
