// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "health/io/probe.hpp"

#include <array>
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

// Probes asked one question, and strangers on loopback who answer as badly as a test wants.

namespace hamr::health_io {

using std::chrono::milliseconds;

/// One connection that a stranger has taken. Keeps itself alive while something is under way.
class Taken : public std::enable_shared_from_this<Taken> {
  public:
    explicit Taken(boost::asio::ip::tcp::socket taken)
        : socket(std::move(taken)), timer(socket.get_executor()) {}

    void send(std::string bytes, std::function<void()> then = {}) {
        auto kept = std::make_shared<std::string>(std::move(bytes));
        boost::asio::async_write(
            socket, boost::asio::buffer(*kept),
            [self = shared_from_this(), kept, then = std::move(then)](auto error, std::size_t) {
                if (!error && then) then();
            });
    }
    /// One byte after another, with a pause before each.
    void drip(std::string bytes, Duration pause) {
        if (bytes.empty()) return;
        timer.expires_after(pause);
        timer.async_wait([self = shared_from_this(), bytes, pause](auto error) {
            if (error) return;
            self->send(bytes.substr(0, 1),
                       [self, bytes, pause] { self->drip(bytes.substr(1), pause); });
        });
    }
    /// The same again and again.
    void flood(const std::string& bytes) {
        send(bytes, [self = shared_from_this(), bytes] { self->flood(bytes); });
    }
    void on_read(std::function<void(std::string)> done) {
        socket.async_read_some(
            boost::asio::buffer(buffer),
            [self = shared_from_this(), done = std::move(done)](auto error, std::size_t count) {
                if (!error) done(std::string(self->buffer.data(), count));
            });
    }
    void close() { socket.close(); }

    boost::asio::ip::tcp::socket socket;
    boost::asio::steady_timer timer;
    std::array<char, 16384> buffer{};
};

/// A listener on a free loopback port that treats each connection as it is told. Connections are
/// kept until the stranger goes.
class Stranger {
  public:
    using Manners = std::function<void(Taken&)>;

    Stranger(boost::asio::io_context& io, Manners manners)
        : manners_(std::move(manners)), acceptor_(io) {
        using boost::asio::ip::tcp;
        acceptor_.open(tcp::v4());
        acceptor_.bind({boost::asio::ip::address_v4::loopback(), 0});
        acceptor_.listen();
        accept();
    }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;
    ~Stranger() {
        for (const auto& taken : taken_) {
            taken->timer.cancel();
            taken->socket.close();
        }
    }

    [[nodiscard]] Endpoint endpoint() const {
        return {IpAddress::v4({127, 0, 0, 1}), acceptor_.local_endpoint().port()};
    }
    [[nodiscard]] std::string where() const { return endpoint().to_string(); }
    [[nodiscard]] std::size_t connections() const { return taken_.size(); }
    void stop_listening() { acceptor_.close(); }

  private:
    void accept() {
        acceptor_.async_accept(
            [this, here = std::weak_ptr(here_)](auto error, boost::asio::ip::tcp::socket socket) {
                if (error || here.expired()) return;
                taken_.push_back(std::make_shared<Taken>(std::move(socket)));
                manners_(*taken_.back());
                accept();
            });
    }

    Manners manners_;
    boost::asio::ip::tcp::acceptor acceptor_;
    std::vector<std::shared_ptr<Taken>> taken_;
    /// Ends with this object, though an accepted connection may still be on its way to it.
    std::shared_ptr<int> here_ = std::make_shared<int>();
};

inline int open_descriptors() {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
}

class AskingTest : public testing::Test {
  protected:
    AskingTest() : warm_(io_) {
        // What the loop itself needs is there from now on.
        warm_.open(boost::asio::ip::tcp::v4());
        warm_.close();
        descriptors_ = open_descriptors();
    }

    ~AskingTest() override {
        EXPECT_TRUE(run_until([this] { return open_descriptors() == descriptors_; }))
            << "descriptors are left: " << open_descriptors() << " and not " << descriptors_;
    }

    template <class Done>
    [[nodiscard]] bool run_until(Done done, Duration limit = std::chrono::seconds(20)) {
        const BootTime end = BootClock::now() + limit;
        while (!done()) {
            if (BootClock::now() >= end) return false;
            io_.restart();
            io_.run_one_for(milliseconds(20));
        }
        return true;
    }

    health::ProbeResult ask(const health::ProbeSpec& spec, Duration timeout = milliseconds(5000)) {
        return ask(*make_probe(io_.get_executor(), spec), timeout);
    }

    health::ProbeResult ask(Probe& probe, Duration timeout = milliseconds(5000)) {
        std::optional<health::ProbeResult> result;
        int answers = 0;
        probe.run(timeout, [&](health::ProbeResult got) {
            result = std::move(got);
            ++answers;
        });
        EXPECT_EQ(answers, 0) << "no callback from inside the call";
        EXPECT_TRUE(run_until([&] { return result.has_value(); })) << "no answer at all";
        io_.restart();
        io_.run_for(milliseconds(2));
        EXPECT_EQ(answers, 1);
        EXPECT_FALSE(probe.running());
        if (!result) return {false, "no answer"};
        EXPECT_LE(result->text.size(), health::ProbeResult::max_text);
        return *result;
    }

    boost::asio::io_context io_;

  private:
    boost::asio::ip::tcp::socket warm_;
    int descriptors_ = 0;
};

MATCHER_P(IsUp, text, "") {
    *result_listener << "which says \"" << arg.text << '"';
    return arg.ok && testing::ExplainMatchResult(text, arg.text, result_listener);
}
MATCHER_P(IsDown, text, "") {
    *result_listener << "which says \"" << arg.text << '"';
    return !arg.ok && testing::ExplainMatchResult(text, arg.text, result_listener);
}

}  // namespace hamr::health_io
