// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "health/io/probe.hpp"

// Whether a connection is accepted. It proves little: a stopped router's kernel goes on accepting,
// and HAProxy accepts and closes when no server is left. Servers count a connection that says
// nothing as a broken one (max_connect_errors): for MySQL ports the mysql probe is the right one.
//
// The goodbye is polite: what the other side sends meanwhile is read (up to 64 KiB, 200 ms), so
// that it sees an end and no reset.

namespace hamr::health_io {

[[nodiscard]] std::shared_ptr<Probe> make_tcp_probe(boost::asio::any_io_executor executor,
                                                    health::TcpProbe what);

}  // namespace hamr::health_io
