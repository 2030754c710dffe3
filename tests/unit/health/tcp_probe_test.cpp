// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/health/asking.hpp"

namespace hamr::health_io {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class TcpProbeTest : public AskingTest {};

TEST_F(TcpProbeTest, a_connection_that_is_accepted_is_up) {
    const auto reset = std::make_shared<bool>(false);
    Stranger stranger(io_, [&](Taken& taken) {
        taken.send("a greeting that nobody reads", [&taken, reset] {
            taken.on_read([](const std::string&) {});
            taken.socket.async_wait(boost::asio::ip::tcp::socket::wait_error,
                                    [reset](auto error) { *reset = !error; });
        });
    });
    EXPECT_THAT(ask(health::TcpProbe{stranger.endpoint()}),
                IsUp(stranger.where() + " accepted a connection"));
    ASSERT_TRUE(run_until([&] { return stranger.connections() == 1; }));
    io_.restart();
    io_.run_for(milliseconds(5));
    EXPECT_FALSE(*reset) << "a polite goodbye";
}

TEST_F(TcpProbeTest, nobody_there_is_refused_by_name) {
    Stranger stranger(io_, [](Taken&) {});
    const Endpoint gone = stranger.endpoint();
    stranger.stop_listening();
    EXPECT_THAT(ask(health::TcpProbe{gone}), IsDown("connection refused by " + gone.to_string()));
}

TEST_F(TcpProbeTest, a_full_queue_times_out) {
    using boost::asio::ip::tcp;
    tcp::acceptor acceptor(io_);
    acceptor.open(tcp::v4());
    acceptor.bind({boost::asio::ip::address_v4::loopback(), 0});
    acceptor.listen(1);
    std::vector<std::unique_ptr<tcp::socket>> waiting;
    for (int i = 0; i < 4; ++i) {
        waiting.push_back(std::make_unique<tcp::socket>(io_));
        waiting.back()->async_connect(acceptor.local_endpoint(), [](auto) {});
    }
    io_.run_for(milliseconds(20));
    const Endpoint target{IpAddress::v4({127, 0, 0, 1}), acceptor.local_endpoint().port()};
    EXPECT_THAT(ask(health::TcpProbe{target}, milliseconds(50)),
                IsDown("no connection to " + target.to_string() + " within 50 ms"));
}

TEST_F(TcpProbeTest, one_that_sends_without_end_is_left) {
    Stranger stranger(io_, [](Taken& taken) { taken.flood(std::string(65536, 'x')); });
    EXPECT_THAT(ask(health::TcpProbe{stranger.endpoint()}), IsUp(HasSubstr("accepted")));
}

TEST_F(TcpProbeTest, asked_again_and_again_and_cancelled) {
    Stranger stranger(io_, [](Taken&) {});
    const auto probe = make_probe(io_.get_executor(), health::TcpProbe{stranger.endpoint()});
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(ask(*probe).ok);
    probe->run(milliseconds(50), [](const health::ProbeResult&) { FAIL() << "it was cancelled"; });
    probe->cancel();
    EXPECT_FALSE(probe->running());
    EXPECT_TRUE(ask(*probe).ok);
}

TEST_F(TcpProbeTest, an_answer_on_its_way_is_taken_back_by_cancel) {
    Stranger stranger(io_, [](Taken&) {});
    const Endpoint gone = stranger.endpoint();
    stranger.stop_listening();
    for (int steps = 0; steps < 6; ++steps) {
        const auto probe = make_probe(io_.get_executor(), health::TcpProbe{gone});
        bool told = false;
        probe->run(milliseconds(5000), [&](const health::ProbeResult&) { told = true; });
        io_.restart();
        for (int i = 0; i < steps && !told; ++i) io_.run_one_for(milliseconds(20));
        if (told) break;
        probe->cancel();
        io_.restart();
        io_.run_for(milliseconds(5));
        EXPECT_FALSE(told);
    }
}

}  // namespace
}  // namespace hamr::health_io
