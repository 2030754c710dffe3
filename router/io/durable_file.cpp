// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/durable_file.hpp"

#include "base/unique_fd.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

namespace hamr::router_io {

Result<> write_durably(const std::string& path, const std::string& text) {
    const std::string fresh = path + ".new";
    ::unlink(fresh.c_str());
    UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("create " + fresh, errno);
    const ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n < 0) return fail_errno("write " + fresh, errno);
    if (n != static_cast<ssize_t>(text.size())) return fail_errno("write " + fresh, ENOSPC);
    if (::fsync(fd.get()) != 0) return fail_errno("fsync " + fresh, errno);
    if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("write " + path, errno);
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    fd.reset(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return fail_errno("fsync " + folder, errno);
    return {};
}

}  // namespace hamr::router_io
