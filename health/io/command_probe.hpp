// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "health/io/probe.hpp"

// Whether a program exits with 0 (Nagios plugins and keepalived's scripts agree on that much).
//
// What     No shell: argv as given, argv[0] looked up in the usual PATH. Its first line of output,
//          up to Nagios' '|', is the result's text; without one, the last line that it wrote to its
//          standard error.
// Process  A process group of its own, with ordinary scheduling, no signals blocked, no descriptors
//          of ours, an environment of PATH, LC_ALL=C, HOME and USER, in /. At its end, the time-out
//          or a cancel the whole group is killed (SIGKILL).
// Limits   4 KiB of each stream are kept; over 1 MiB in all it is killed. A killed program that
//          does not go (it sits in the kernel) is waited for: no second one is started meanwhile.
// User     Looked up once, when the first question is asked.

namespace hamr::health_io {

[[nodiscard]] std::shared_ptr<Probe> make_command_probe(boost::asio::any_io_executor executor,
                                                        health::CommandProbe what);

}  // namespace hamr::health_io
