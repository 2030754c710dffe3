// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

// Which processes belong to an instance, as /proc tells.
//
// Belongs    what carries the instance's marker in its environment (HAMR_INSTANCE), what is in the
//            session or the process group that its first process made, and what descends from
//            either. So daemons that fork twice are found, those that call setsid too, also after
//            the death of the first process and of the agent. Only one that does all of it and
//            wipes its environment would escape.
//            Sessions and groups are numbers that are given away again: they count only while the
//            first process is known to live, or to have lived until just now (`first_seen`).
// Rights     The environment of another user's process needs CAP_SYS_PTRACE; without it the rest
//            of the rules must do.
// Cost       10 to 30 µs for each process of the host, twice that for those younger than the
//            instance, in one go: a few ms on a host of some hundred.

namespace hamr::router_io {

inline constexpr const char* marker_variable = "HAMR_INSTANCE";

struct ProcessStat {
    pid_t pid = 0;
    pid_t parent = 0;
    pid_t group = 0;
    pid_t session = 0;
    char state = '?';
    int threads = 1;
    std::uint64_t start = 0;  ///< clock ticks since the host's boot

    /// A zombie whose other threads are still on their way out holds its ports yet.
    [[nodiscard]] bool dead() const { return (state == 'Z' && threads <= 1) || state == 'X'; }
};

[[nodiscard]] std::optional<ProcessStat> read_stat(pid_t pid);
/// When a process began.
[[nodiscard]] BootTime start_time(const ProcessStat& stat);
/// Of this host's present life; "" if it cannot be read.
[[nodiscard]] std::string boot_id();

struct InstanceId {
    pid_t pid = 0;            ///< its first process; 0: not known
    std::uint64_t start = 0;  ///< that process' ProcessStat::start
    std::string marker;       ///< never empty for one that was started
    bool first_seen = true;   ///< the first process lives, or was seen to end
};

/// The living processes of an instance, without zombies, the first process included. `unsure`
/// becomes true when one that is not among them had no environment to read: in the middle of an
/// exec the marker cannot be seen, so it is worth another look.
[[nodiscard]] std::vector<ProcessStat> members(const InstanceId& instance, bool* unsure = nullptr);

/// How many more looks doubt is worth: a process may have no environment for ever.
inline constexpr int most_doubts = 10;

/// Sends a signal to each; one that has ended since, or whose pid is somebody else's by now, is
/// left out.
void signal_all(const std::vector<ProcessStat>& processes, int number);

}  // namespace hamr::router_io
