// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/child.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace hamr::health_io {

namespace {

Result<> make_pipe(UniqueFd& ours, UniqueFd& theirs) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe", errno);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
    // Ours alone: a program may choke on a standard output that does not block.
    if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return fail_errno("fcntl", errno);
    return {};
}

}  // namespace

void Child::kill_group() const {
    if (pid > 0) ::kill(-pid, SIGKILL);
}

Result<Child> start_child(const std::vector<std::string>& argv,
                          const std::optional<process::Account>& account) {
    Child child;
    UniqueFd output;
    UniqueFd errors;
    if (auto made = make_pipe(child.output, output); !made) return tl::unexpected(made.error());
    if (auto made = make_pipe(child.errors, errors); !made) return tl::unexpected(made.error());
    process::SpawnSpec spec;
    spec.argv = argv;
    spec.account = account;
    spec.output = output.get();
    spec.errors = errors.get();
    spec.environment = process::Environment::plain;
    auto spawned = process::spawn(spec);
    if (!spawned) return tl::unexpected(spawned.error());
    child.pid = spawned->pid;
    child.pidfd = std::move(spawned->pidfd);
    return child;
}

}  // namespace hamr::health_io
