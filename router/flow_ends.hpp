// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "router/flows.hpp"
#include "router/standing.hpp"

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// Which flows of this node must end because of their backend: it is down, has lost its role, or is
// not configured (docs/protocol.md, rules F21 to F23). Pure: standings, leadership and flows in;
// flows to be reset out.
//
// Whose     Only own flows in the table, of groups that this node leads, that the embedded router
//           has made: translated, and the address is their source at the backend.
// When      A standing ends flows only if what it rests on began to be observed after this node has
//           begun to lead; a pair that has none ends them at once. Nothing ends before the first
//           judge().
// Openings  A client whose first packet was given to such a backend would repeat it there until it
//           gives up: its entry just has to go, and the next packet finds its way. Only a dump of
//           the kernel's table shows these.
// Level     Every flow that is heard of is looked at, whenever it began. Each is handed out once,
//           and again only if it is still there when it should be over.
// Threading none: a value. `table` outlives it.

namespace hamr::router {

/// A flow to be reset, and why.
struct Ending {
    Flow flow;  ///< with its translation
    std::size_t group = 0;
    std::string why;
    bool again = false;  ///< it outlived its last reset
};

class FlowEnds {
  public:
    FlowEnds(const FlowTable& table, std::vector<std::vector<IpAddress>> groups);

    /// This node leads the group since then; nothing: it does not.
    void lead(std::size_t group, std::optional<BootTime> since);
    /// All pairs that there are. True when look() has to see all flows again.
    [[nodiscard]] bool judge(std::vector<Standing> standings);
    /// A flow as the kernel or the table has it now. True when there is something to be taken.
    bool look(const Flow& flow);

    /// The next ones, in the order in which they were found.
    [[nodiscard]] std::vector<Ending> take(std::size_t most);
    /// Likewise: the kernel's entries of these are to be deleted.
    [[nodiscard]] std::vector<FlowId> take_openings(std::size_t most);
    /// Whether this one, as it was handed out, is still there: not another one of its client's
    /// port.
    [[nodiscard]] bool is_there(const Ending& ending) const;
    /// These have been dealt with; those that are still there follow again. `reset`: they should be
    /// over.
    void over(const std::vector<Ending>& endings, bool reset);
    [[nodiscard]] std::size_t waiting() const { return queue_.size(); }

  private:
    using Pair = std::pair<std::uint16_t, Endpoint>;

    [[nodiscard]] std::optional<std::size_t> group_of(const IpAddress& vip) const;
    /// Why it must end; nothing: it may go on.
    [[nodiscard]] std::optional<std::string> why(const Flow& flow) const;
    [[nodiscard]] bool ends(const Standing& standing, std::size_t group) const;
    [[nodiscard]] std::set<std::pair<std::size_t, Pair>> ending_pairs() const;

    const FlowTable& table_;
    std::vector<std::vector<IpAddress>> groups_;
    std::vector<std::optional<BootTime>> led_since_;
    std::map<Pair, Standing> standings_;
    bool judged_ = false;
    std::deque<FlowId> openings_;
    std::deque<FlowId> queue_;
    std::map<FlowId, bool> known_;  // in the queue or handed out; again
};

}  // namespace hamr::router
