// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "health/io/probe.hpp"

// Whether a MySQL server answers behind an address, which may be a router's.
//
// With a user: logs in anew each time (a router chooses a server per connection), asks the query,
// and says goodbye.
// Without:     goes through the whole handshake as the user `hamr-health`, whom nobody has. "Access
//              denied" says that a server took part: MySQL Router and HAProxy pass the login on.
//              ProxySQL answers by itself: give a user there. Every handshake is finished, so that
//              no server counts it as broken (max_connect_errors); it is counted as a failed login,
//              and MariaDB logs it. Who minds creates the user, with neither password nor right:
//              being let in is as good.
//
// Servers that speak and cannot be used are down, and named: too many connections (1040), host
// blocked (1129) or not allowed (1130), no server behind a router (2003, 9001), no quorum (1047).

namespace hamr::health_io {

[[nodiscard]] std::shared_ptr<Probe> make_mysql_probe(boost::asio::any_io_executor executor,
                                                      health::MysqlProbe what);

}  // namespace hamr::health_io
