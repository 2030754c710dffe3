// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/members_note.hpp"

#include "base/unique_fd.hpp"
#include "router/io/durable_file.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fcntl.h>
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

bool members_noted(const std::string& file, std::vector<std::string> names) {
    std::string found;
    std::ifstream in(file, std::ios::binary);
    if (in) found.assign(std::istreambuf_iterator<char>(in), {});
    return found == text_of(std::move(names));
}

Result<> forget_members(const std::string& file) {
    if (::unlink(file.c_str()) != 0) {
        if (errno == ENOENT) return {};
        return fail_errno("remove " + file, errno);
    }
    const std::string folder = std::filesystem::path(file).parent_path();
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return fail_errno("remove " + file + " for good", errno);
    return {};
}

Result<> note_members(const std::string& file, std::vector<std::string> names) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path(), ignored);
    auto kept = router_io::write_durably(file, text_of(std::move(names)));
    if (!kept) (void)::unlink(file.c_str());
    return kept;
}

}  // namespace hamr::daemon
