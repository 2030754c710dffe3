// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "router/io/process_tree.hpp"

#include <optional>
#include <string>
#include <vector>

// What an agent notes of the router that it starts, so that its next life, or a clean-up, knows it
// again: in a file that is replaced as a whole. Good only for the same boot of the host.

namespace hamr::router_io {

struct InstanceNote {
    std::string boot;  ///< boot_id() of then
    /// pid 0: it was about to be started; only the marker can tell whether it was.
    InstanceId id;
    std::string user;
    std::vector<std::string> argv;

    friend bool operator==(const InstanceNote& a, const InstanceNote& b) {
        return a.boot == b.boot && a.id.pid == b.id.pid && a.id.start == b.id.start &&
               a.id.marker == b.id.marker && a.user == b.user && a.argv == b.argv;
    }
};

[[nodiscard]] std::string render_note(const InstanceNote& note);
/// Nothing for anything but what render_note() makes.
[[nodiscard]] std::optional<InstanceNote> parse_note(const std::string& text);

/// Nothing when there is no such file, when it is not a note, or when it is of an earlier boot;
/// such a file is removed.
[[nodiscard]] std::optional<InstanceNote> load_note(const std::string& path);
[[nodiscard]] Result<> save_note(const std::string& path, const InstanceNote& note);
void remove_note(const std::string& path);

/// 128 random bits.
[[nodiscard]] std::string make_marker();

}  // namespace hamr::router_io
