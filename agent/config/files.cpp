// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/files.hpp"

#include "agent/config/config.hpp"
#include "agent/config/error.hpp"
#include "base/unique_fd.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hamr::config {

namespace {

[[noreturn]] void refuse(const std::string& path, std::string why, int error = 0) {
    const std::error_code code(error, std::system_category());
    throw ConfigError({{path, {}, std::move(why)}}, code);
}

[[noreturn]] void refuse_errno(const std::string& path, int error) {
    const std::error_code code(error, std::system_category());
    refuse(path, "cannot be read: " + code.message(), error);
}

void check_secret(const std::string& path, const struct stat& info) {
    if ((info.st_mode & 077) != 0) {
        refuse(path, "can be read or changed by others than its owner; run: chmod 600 " + path);
    }
    if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
        refuse(path, "belongs to another user (uid " + std::to_string(info.st_uid) +
                         "); run: chown root " + path);
    }
}

}  // namespace

std::string read_file(const std::string& path, std::size_t limit, Secrecy secrecy) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) refuse_errno(path, errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) refuse_errno(path, errno);
    if (S_ISDIR(info.st_mode)) refuse_errno(path, EISDIR);
    if (!S_ISREG(info.st_mode)) refuse(path, "is not a regular file");
    if (secrecy == Secrecy::secret) check_secret(path, info);

    std::string text;
    std::string chunk(16384, '\0');
    for (;;) {
        const ssize_t count = ::read(fd.get(), chunk.data(), chunk.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) refuse_errno(path, errno);
        if (count == 0) return text;
        text.append(chunk, 0, static_cast<std::size_t>(count));
        if (text.size() > limit) {
            refuse(path, "is larger than " + std::to_string(limit / 1024) + " KiB");
        }
    }
}

Loaded load(const std::string& path) {
    return parse(read_file(path, limits::file_bytes, Secrecy::open), path);
}

}  // namespace hamr::config
