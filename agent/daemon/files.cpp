// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/files.hpp"

namespace hamr::daemon {

Files::Files(std::string_view socket) {
    constexpr std::string_view suffix = ".sock";
    directory = socket.substr(0, socket.rfind('/'));
    if (socket.ends_with(suffix)) socket.remove_suffix(suffix.size());
    const std::string stem(socket);
    history = stem + ".history.jsonl";
    sysctls = stem + ".sysctls";
    router = stem + ".router";
}

namespace {

std::string state_file(std::string_view state, std::string_view cluster, std::string_view node) {
    return std::string(state) + "/" + std::string(cluster) + "." + std::string(node);
}

}  // namespace

std::string drained_file(std::string_view state, std::string_view cluster, std::string_view node) {
    return state_file(state, cluster, node) + ".drained";
}

std::string backends_file(std::string_view state, std::string_view cluster, std::string_view node) {
    return state_file(state, cluster, node) + ".backends";
}

std::string members_file(std::string_view state, std::string_view cluster, std::string_view node) {
    return state_file(state, cluster, node) + ".members";
}

}  // namespace hamr::daemon
