// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/control/model.hpp"
#include "base/clock.hpp"
#include "election/frame.hpp"
#include "election/types.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

// `hamr failover`: one order asks for several groups, and is answered when each has been.
// Threading: the work loop.

namespace hamr::daemon {

class FailoverOrders {
  public:
    /// Asks the election for one group; `asked` is told the number of the question, on this loop.
    using Ask = std::function<void(const std::string& group, election::NodeId target, bool force,
                                   std::function<void(std::uint32_t id)> asked)>;
    /// Groups and who leads them now.
    using Leaders = std::map<std::string, std::string>;

    FailoverOrders(const config::Config& config, Ask ask);

    void order(const control::FailoverRequest& request, Leaders leaders,
               std::function<void(control::FailoverAnswer)> done);
    /// The election's answer.
    void answered(std::uint32_t id, election::AskResult result, election::NodeId target);

  private:
    struct Order {
        std::function<void(control::FailoverAnswer)> done;
        control::FailoverAnswer answer;
        Leaders leaders;
        BootTime begun;
        std::size_t left = 0;
    };
    struct Pending {
        std::shared_ptr<Order> order;
        std::string group;
    };

    void finish(const Pending& pending, election::AskResult result, const std::string& target);

    const config::Config& config_;
    Ask ask_;
    std::map<std::uint32_t, Pending> pending_;
};

}  // namespace hamr::daemon
