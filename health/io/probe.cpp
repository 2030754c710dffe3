// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/probe.hpp"

#include "base/assert.hpp"
#include "health/io/command_probe.hpp"
#include "health/io/http_probe.hpp"
#include "health/io/mysql_probe.hpp"
#include "health/io/process_probe.hpp"
#include "health/io/tcp_probe.hpp"
#include "health/text.hpp"

#include <chrono>
#include <variant>

#include <boost/asio/post.hpp>

namespace hamr::health_io {

namespace asio = boost::asio;

Probe::Probe(asio::any_io_executor executor) : executor_(executor), timer_(std::move(executor)) {}

void Probe::run(Duration timeout, Done done) {
    HAMR_ASSERT(!running() && done);
    ++question_;
    done_ = std::move(done);
    timeout_ = timeout;
    timer_.expires_after(timeout);
    timer_.async_wait(guarded([this](boost::system::error_code error) {
        if (!error) finish(false, overdue(in_ms(timeout_)));
    }));
    begin();
}

void Probe::cancel() {
    over();
    done_ = nullptr;
}

void Probe::over() {
    ++question_;
    timer_.cancel();
    release();
}

void Probe::finish(bool ok, std::string text) {
    over();
    health::ProbeResult result{ok, health::printable(text, health::ProbeResult::max_text)};
    asio::post(executor_, guarded([this, result = std::move(result)]() mutable {
                   const Done done = std::exchange(done_, nullptr);
                   done(std::move(result));
               }));
}

std::shared_ptr<Probe> make_probe(const asio::any_io_executor& executor,
                                  const health::ProbeSpec& spec) {
    struct Maker {
        const asio::any_io_executor& executor;
        std::shared_ptr<Probe> operator()(const health::ProcessProbe& what) const {
            return make_process_probe(executor, what);
        }
        std::shared_ptr<Probe> operator()(const health::TcpProbe& what) const {
            return make_tcp_probe(executor, what);
        }
        std::shared_ptr<Probe> operator()(const health::MysqlProbe& what) const {
            return make_mysql_probe(executor, what);
        }
        std::shared_ptr<Probe> operator()(const health::HttpProbe& what) const {
            return make_http_probe(executor, what);
        }
        std::shared_ptr<Probe> operator()(const health::CommandProbe& what) const {
            return make_command_probe(executor, what);
        }
    };
    return std::visit(Maker{executor}, spec);
}

std::string in_ms(Duration duration) {
    return std::to_string(std::chrono::round<std::chrono::milliseconds>(duration).count()) + " ms";
}

}  // namespace hamr::health_io
