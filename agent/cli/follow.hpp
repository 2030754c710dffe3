// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What `hamr drain` says while a drain goes on, from one status to the next. Pure: statuses and the
// time in, lines and the end out.

namespace hamr::cli {

class DrainFollower {
  public:
    using Time = std::chrono::steady_clock::time_point;

    /// How long the node may lead (again) before that counts as a failure: nobody else can.
    static constexpr std::chrono::seconds longest_move{10};
    /// How long connections may outlast their limit.
    static constexpr std::chrono::seconds longest_cut{15};

    struct Step {
        std::vector<std::string> lines;  ///< news, each said once
        std::string progress;            ///< how it goes now; "" when there is nothing to tell
        std::optional<int> end;          ///< an exit code
        std::string error;               ///< with an exit code that is not 0
        std::string remedy;
    };

    /// `before`: the status before the drain was ordered.
    explicit DrainFollower(const control::Status& before);

    [[nodiscard]] Step look(const control::Status& status, Time now);

  private:
    void tell_moves(const control::Status& status, Step& step);

    std::map<std::string, std::string> led_;  ///< group to its leader, as last told
    bool several_ = false;
    std::optional<Time> moving_since_;
    std::optional<Time> due_since_;
};

}  // namespace hamr::cli
