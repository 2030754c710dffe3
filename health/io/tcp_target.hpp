// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"

#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

// What the probes that connect have in common.

namespace hamr::health_io {

[[nodiscard]] boost::asio::ip::tcp::endpoint to_asio(const Endpoint& endpoint);

/// "connection refused by 127.0.0.1:6446".
[[nodiscard]] std::string why_not_connected(const boost::system::error_code& error,
                                            const Endpoint& target);

/// After a connect: asking a free port of this very host again and again meets itself some day
/// (a simultaneous open from the same port). Nobody listens there.
[[nodiscard]] bool met_itself(const boost::asio::ip::tcp::socket& socket);

/// Says that nothing more is asked, and closes.
void leave(boost::asio::ip::tcp::socket& socket);

}  // namespace hamr::health_io
