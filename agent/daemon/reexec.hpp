// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "election/types.hpp"
#include "health/verdict.hpp"
#include "vip/gate/gate.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A restart in place: the agent's process executes its program again, which may be a newer one by
// now, and its life goes on there (docs/protocol.md, rules U; docs/adr/0005).
//
// What goes over: the election's snapshot and what belongs to it, in a memfd whose number stands in
// the environment; the gate's descriptors; the lock of the network namespace. The process id stays,
// so service manager and children notice nothing. The memfd is emptied when it is read, and names
// the process that it is for: nobody can go on with one life twice.
//
// Signals that end or reload the agent wait, blocked, from here until the new program hears them.

namespace hamr::daemon {

/// What one program of the agent leaves to the next.
struct Life {
    BootTime at;  ///< when the old program ended
    std::vector<std::byte> election;
    std::vector<std::string> groups;     ///< their names, in order
    std::vector<std::string> addresses;  ///< of all groups, in order, and retired ones
    std::vector<election::Term> terms;   ///< by group: the term led, 0 when not leading
    std::vector<BootTime> led_since;
    std::vector<bool> announced;
    std::vector<int> gated;  ///< interfaces on which the gate stands
    std::vector<health::Source> health;
    vip::GateHandles gate;
    std::size_t gate_groups = 0;
    /// The configuration has changed: a supervised router is to reload its own, too.
    bool reload_router = false;
    int lock = -1;
    int nice = 0;  ///< of the process; its start is favoured
};

/// Which lives this program can go on with: another text, another layout.
[[nodiscard]] std::string life_version();

/// The program to execute: this one's path, where a newer one may lie by now. An error when there
/// is none.
[[nodiscard]] Result<std::string> next_program();

/// Executes `program`, with `life` or, without one, to begin a new life; no other descriptor goes
/// over but the first three. Returns only when that fails; then everything is as it was, but that
/// every descriptor is CLOEXEC now.
[[nodiscard]] Error execute(const std::string& program, const std::vector<std::string>& arguments,
                            Life* life);

/// What the program before this one has left, once. Nothing when there was none, or when it cannot
/// be used.
[[nodiscard]] std::optional<Life> inherit_life();

/// Lets signals through again that execute() has held back.
void hear_signals();

/// The start is over.
void be_as_nice(int nice);

/// Children of the old program that have ended meanwhile. Before anything is started.
void reap_children();

/// What a rehearsal of the next program's start has found.
struct Rehearsal {
    Duration took{};    ///< until its first frame would leave
    std::string life;   ///< its life_version()
    bool fits = false;  ///< it goes on with this program's life
};
/// The one line that `hamrd --rehearse` prints; it was started at `begun_ns`.
[[nodiscard]] std::string rehearsed_line(std::string_view begun_ns);
[[nodiscard]] Result<Rehearsal> parse_rehearsal(const std::string& line);

}  // namespace hamr::daemon
