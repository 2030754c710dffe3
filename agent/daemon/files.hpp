// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace hamr::daemon {

/// Where an agent keeps what outlives it. The first three stand beside its socket and are named
/// after it, so that agents of several network namespaces may share a directory: with the socket
/// /run/hamr/hamrd.sock they are /run/hamr/hamrd.history.jsonl and so on.
struct Files {
    std::string directory;  ///< of the socket
    std::string history;    ///< what has happened
    std::string sysctls;    ///< kernel settings as they were before
    std::string router;     ///< which process is the supervised router

    explicit Files(std::string_view socket);
};

/// Where a node keeps that it is drained, for longer than a reboot: `state`/CLUSTER.NODE.drained.
[[nodiscard]] std::string drained_file(std::string_view state, std::string_view cluster,
                                       std::string_view node);
/// Where it keeps which backends are drained: `state`/CLUSTER.NODE.backends.
[[nodiscard]] std::string backends_file(std::string_view state, std::string_view cluster,
                                        std::string_view node);
/// Where it keeps who voted in its last life (members_note.hpp): `state`/CLUSTER.NODE.members.
[[nodiscard]] std::string members_file(std::string_view state, std::string_view cluster,
                                       std::string_view node);

}  // namespace hamr::daemon
