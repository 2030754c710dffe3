// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "health/io/probe.hpp"

// Whether a process runs: by its name in /proc, by a pid file, or both.
//
// A name is what the kernel keeps of it: the first 15 bytes of the program's file name; an
// interpreted script bears its interpreter's. Zombies do not count. Processes of containers on this
// host do: give a pid file where that matters. A pid file proves nothing by itself (it may be left
// over from a crash): the process in it must run, and bear the name where one is given.
//
// The process found last is looked at first; else /proc is read some hundred entries at a time, so
// that other work gets its turn.

namespace hamr::health_io {

[[nodiscard]] std::shared_ptr<Probe> make_process_probe(boost::asio::any_io_executor executor,
                                                        health::ProcessProbe what);

}  // namespace hamr::health_io
