// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/tcp_target.hpp"

#include <algorithm>

#include <boost/asio/error.hpp>

namespace hamr::health_io {

namespace asio = boost::asio;
using asio::ip::tcp;

tcp::endpoint to_asio(const Endpoint& endpoint) {
    const auto& bytes = endpoint.address.bytes();
    if (endpoint.address.is_v4()) {
        asio::ip::address_v4::bytes_type raw{};
        std::copy_n(bytes.begin(), raw.size(), raw.begin());
        return {asio::ip::address_v4(raw), endpoint.port};
    }
    asio::ip::address_v6::bytes_type raw{};
    std::copy_n(bytes.begin(), raw.size(), raw.begin());
    return {asio::ip::address_v6(raw), endpoint.port};
}

std::string why_not_connected(const boost::system::error_code& error, const Endpoint& target) {
    const std::string where = target.to_string();
    if (error == asio::error::connection_refused) return "connection refused by " + where;
    if (error == asio::error::host_unreachable || error == asio::error::network_unreachable) {
        return "no route to " + where;
    }
    return "no connection to " + where + ": " + error.message();
}

bool met_itself(const tcp::socket& socket) {
    boost::system::error_code error;
    const auto here = socket.local_endpoint(error);
    if (error) return false;
    const auto there = socket.remote_endpoint(error);
    return !error && here == there;
}

void leave(boost::asio::ip::tcp::socket& socket) {
    boost::system::error_code ignored;
    socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
    socket.close(ignored);
}

}  // namespace hamr::health_io
