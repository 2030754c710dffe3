// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/members_note.hpp"

#include "router/io/durable_file.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

namespace hamr::daemon {

namespace {

std::string text_of(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    std::string text = "voters of this node's last life (docs/protocol.md, rule M6)\n";
    for (const std::string& name : names) text += name + "\n";
    return text + "end\n";
}

}  // namespace

MembersNote note_members(const std::string& file, std::vector<std::string> names) {
    const std::string wanted = text_of(std::move(names));
    std::string found;
    std::ifstream in(file, std::ios::binary);
    if (in) found.assign(std::istreambuf_iterator<char>(in), {});
    if (found == wanted) return {true, {}};
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path(), ignored);
    MembersNote note{false, router_io::write_durably(file, wanted)};
    if (!note.kept) (void)::unlink(file.c_str());
    return note;
}

}  // namespace hamr::daemon
