// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_stream.hpp"

#include "router/io/flow_replica.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

// Rules F1 to F12, F19 and F20 of docs/protocol.md, between two ends on the loopback.

namespace hamr::router_io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;
using router::Flow;
using router::FlowMessage;
using router::FlowPing;
using router::FlowTable;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Duration patience = 15s;

FlowKey key(const std::string& id, unsigned fill) {
    FlowKey made{id, {}};
    made.bytes.fill(static_cast<std::byte>(fill));
    return made;
}

template <class Done>
bool run_until(asio::io_context& io, Done done) {
    const BootTime end = BootClock::now() + patience;
    while (!done() && BootClock::now() < end) {
        io.restart();
        io.run_one_for(10ms);
    }
    return done();
}

Endpoint loopback(std::uint16_t port = 0) {
    return {IpAddress::v4({127, 0, 0, 1}), port};
}

FlowBytes ping(std::uint64_t sequence) {
    return std::make_shared<const std::vector<std::byte>>(router::encode(FlowPing{sequence}));
}

/// One node's streams, with a note of what happened.
struct End {
    End(asio::io_context& io, const std::string& self, const std::string& peer,
        const Endpoint& peer_at, std::vector<FlowKey> keys)
        : streams(io.get_executor(), {self, {loopback()}, {{peer, {peer_at}}}, std::move(keys)},
                  events()) {}

    FlowStreams::Events events() {
        FlowStreams::Events made;
        made.up = [this](std::size_t) { ++ups; };
        made.down = [this](std::size_t, const std::string& why) { downs.push_back(why); };
        made.heard = [this](std::size_t, const FlowMessage& message) {
            heard.push_back(message);
            return accepts;
        };
        made.drained = [](std::size_t) {};
        return made;
    }
    Endpoint at() const { return streams.listening().at(0); }
    bool up() const { return streams.is_up(0); }

    int ups = 0;
    bool accepts = true;
    std::vector<std::string> downs;
    std::vector<FlowMessage> heard;
    FlowStreams streams;
};

struct FlowStreamTest : testing::Test {
    asio::io_context io;
    std::optional<End> a;  ///< connects
    std::optional<End> b;  ///< accepts

    void make_b(std::vector<FlowKey> keys = {key("k1", 1)}, const std::string& knows = "a") {
        b.emplace(io, "b", knows, loopback(1), std::move(keys));
        ASSERT_TRUE(b->streams.start());
    }
    void make_a(std::vector<FlowKey> keys = {key("k1", 1)}, std::optional<Endpoint> to = {},
                const std::string& self = "a") {
        a.emplace(io, self, "b", to.value_or(b->at()), std::move(keys));
        ASSERT_TRUE(a->streams.start());
    }
    [[nodiscard]] bool meet() {
        return run_until(io, [&] { return a->up() && b->up(); });
    }
    /// A TCP connection to b from nobody in particular.
    tcp::socket stranger() {
        tcp::socket socket(io);
        socket.connect({asio::ip::address_v4::loopback(), b->at().port});
        return socket;
    }
};

TEST_F(FlowStreamTest, two_nodes_meet_and_speak_in_both_directions) {
    make_b();
    make_a();
    ASSERT_TRUE(meet());
    EXPECT_TRUE(a->streams.connects(0));
    EXPECT_FALSE(b->streams.connects(0));
    for (std::uint64_t i = 0; i < 100; ++i) {
        a->streams.send(0, ping(i));
        b->streams.send(0, ping(1000 + i));
    }
    ASSERT_TRUE(run_until(io, [&] { return a->heard.size() == 100 && b->heard.size() == 100; }));
    EXPECT_EQ(std::get<FlowPing>(b->heard.back()).sequence, 99U);
    EXPECT_EQ(std::get<FlowPing>(a->heard.front()).sequence, 1000U);
    EXPECT_EQ(a->ups, 1);
}

TEST_F(FlowStreamTest, a_lost_connection_comes_back) {
    make_b();
    make_a();
    ASSERT_TRUE(meet());
    b->accepts = false;
    a->streams.send(0, ping(1));
    ASSERT_TRUE(run_until(io, [&] { return !a->downs.empty() && !b->downs.empty(); }));
    EXPECT_THAT(b->downs, ElementsAre("a message out of place"));
    EXPECT_EQ(b->streams.drops().malformed, 1U);
    b->accepts = true;
    ASSERT_TRUE(meet());
    EXPECT_EQ(a->ups, 2);
}

TEST_F(FlowStreamTest, another_key_is_refused_counted_and_named) {
    make_b({key("k1", 1)});
    make_a({key("k1", 2)});
    ASSERT_TRUE(run_until(io, [&] { return b->streams.drops().bad_key >= 2; }));
    EXPECT_FALSE(a->up());
    EXPECT_THAT(a->streams.reason(0), HasSubstr("another key"));
}

TEST_F(FlowStreamTest, while_keys_rotate_both_are_good) {
    struct Row {
        const char* name;
        std::vector<FlowKey> a;
        std::vector<FlowKey> b;
    };
    const FlowKey old_key = key("old", 1);
    const FlowKey new_key = key("new", 2);
    const Row rows[] = {{"added last", {old_key}, {old_key, new_key}},
                        {"moved first", {old_key, new_key}, {new_key, old_key}},
                        {"old removed", {new_key, old_key}, {new_key}},
                        {"same name twice", {key("old", 2)}, {old_key, key("old", 2)}}};
    for (const Row& row : rows) {
        make_b(row.b);
        make_a(row.a);
        EXPECT_TRUE(meet()) << row.name;
        EXPECT_EQ(b->streams.drops().bad_key, 0U) << row.name;
        a.reset();
        b.reset();
    }
}

TEST_F(FlowStreamTest, a_node_that_is_no_peer_is_refused) {
    make_b({key("k1", 1)}, "a-known-one");
    make_a();
    ASSERT_TRUE(run_until(io, [&] { return b->streams.drops().unknown_node >= 1; }));
    EXPECT_FALSE(b->up());
}

TEST_F(FlowStreamTest, garbage_and_idlers_cost_little_and_a_peer_still_gets_in) {
    make_b();
    std::vector<tcp::socket> idlers;
    for (int i = 0; i < 12; ++i) {
        idlers.push_back(stranger());
        (void)run_until(io, [&] { return true; });
    }
    tcp::socket rude = stranger();
    asio::write(rude, asio::buffer(std::vector<char>(5000, 'x')));
    ASSERT_TRUE(run_until(
        io, [&] { return b->streams.drops().malformed == 1 && b->streams.drops().crowded >= 9; }));
    make_a();
    ASSERT_TRUE(meet());
    ASSERT_TRUE(run_until(io, [&] { return b->streams.drops().timed_out > 0; }));
    EXPECT_TRUE(b->up());
}

/// Stands between the two and notes what the connecting one says.
class Recorder {
  public:
    Recorder(asio::io_context& io, const Endpoint& to)
        : acceptor_(io, {asio::ip::address_v4::loopback(), 0}), client_(io), server_(io) {
        acceptor_.async_accept(client_, [this, to](boost::system::error_code) {
            server_.connect({asio::ip::address_v4::loopback(), to.port});
            pump(client_, server_, buffers_[0], &said_);
            pump(server_, client_, buffers_[1], nullptr);
        });
    }
    Endpoint at() const { return loopback(acceptor_.local_endpoint().port()); }
    const std::vector<char>& said() const { return said_; }
    void end() {
        boost::system::error_code ignored;
        client_.close(ignored);
        server_.close(ignored);
    }

  private:
    using Buffer = std::array<char, 4096>;
    void pump(tcp::socket& from, tcp::socket& to, Buffer& buffer, std::vector<char>* note) {
        from.async_read_some(
            asio::buffer(buffer),
            [this, &from, &to, &buffer, note](boost::system::error_code error, std::size_t size) {
                if (error) return;
                if (note != nullptr) note->insert(note->end(), buffer.data(), buffer.data() + size);
                boost::system::error_code failed;
                asio::write(to, asio::buffer(buffer.data(), size), failed);
                if (!failed) pump(from, to, buffer, note);
            });
    }

    tcp::acceptor acceptor_;
    tcp::socket client_;
    tcp::socket server_;
    std::array<Buffer, 2> buffers_{};
    std::vector<char> said_;
};

TEST_F(FlowStreamTest, what_was_recorded_earlier_is_refused) {
    make_b();
    Recorder recorder(io, b->at());
    make_a({key("k1", 1)}, recorder.at());
    ASSERT_TRUE(meet());
    a->streams.send(0, ping(5));
    ASSERT_TRUE(run_until(io, [&] { return b->heard.size() == 1; }));
    a.reset();
    recorder.end();
    ASSERT_TRUE(run_until(io, [&] { return !b->up(); }));
    ASSERT_GT(recorder.said().size(), 100U);
    tcp::socket replay = stranger();
    asio::write(replay, asio::buffer(recorder.said()));
    ASSERT_TRUE(run_until(io, [&] { return b->streams.drops().bad_key == 1; }));
    EXPECT_FALSE(b->up());
    EXPECT_EQ(b->heard.size(), 1U);
    EXPECT_EQ(b->ups, 1);
}

// The cipher --------------------------------------------------------------------------------------

TEST(FlowCipherTest, a_changed_dropped_or_repeated_message_is_none) {
    const FlowKeys a("a", {key("k", 1)});
    const FlowKeys b("b", {key("k", 1)});
    const auto session = [&] {
        const auto greeting = a.greet("b");
        const auto answer = b.answer(greeting);
        auto agreed = a.agree("b", greeting, answer);
        EXPECT_TRUE(agreed);
        auto accepted = b.accept("a", greeting, answer, agreed->proof);
        EXPECT_TRUE(accepted);
        EXPECT_TRUE(accepted->begin(agreed->cipher.header()));
        return std::pair(std::move(agreed->cipher), std::move(*accepted));
    };
    const std::vector<std::byte> text(20, std::byte{7});
    std::vector<std::byte> first;
    std::vector<std::byte> second;
    {
        auto [from, to] = session();
        from.seal(text, first);
        from.seal(text, second);
        EXPECT_TRUE(std::ranges::equal(to.open(first).value(), text));
        EXPECT_FALSE(to.open(first)) << "repeated";
    }
    {
        auto [from, to] = session();
        EXPECT_FALSE(to.open(first)) << "of another session";
        first.clear();
        second.clear();
        from.seal(text, first);
        from.seal(text, second);
        EXPECT_FALSE(to.open(second)) << "the first is missing";
    }
    {
        auto [from, to] = session();
        first.clear();
        from.seal(text, first);
        first[5] ^= std::byte{1};
        EXPECT_FALSE(to.open(first));
    }
}

TEST(FlowCipherTest, the_names_of_both_are_part_of_the_keys) {
    const FlowKeys a("a", {key("k", 1)});
    const FlowKeys b("b", {key("k", 1)});
    const FlowKeys c("c", {key("k", 1)});
    const auto greeting = a.greet("b");
    EXPECT_TRUE(b.knows(*router::decode_greeting(greeting)));
    EXPECT_FALSE(c.knows(*router::decode_greeting(greeting))) << "not for this node";
    const auto answer = b.answer(greeting);
    EXPECT_FALSE(a.agree("b", greeting, greeting)) << "reflected";
    const auto agreed = a.agree("b", greeting, answer);
    ASSERT_TRUE(agreed);
    auto wrong = agreed->proof;
    wrong[0] ^= std::byte{1};
    EXPECT_FALSE(b.accept("a", greeting, answer, wrong));
    EXPECT_NE(a.greet("b"), greeting) << "fresh each time";
}

// Tables ------------------------------------------------------------------------------------------

Flow flow(std::uint32_t number) {
    const auto high = static_cast<std::uint8_t>(number >> 16);
    return {{{IpAddress::v4({203, 0, 113, high}), static_cast<std::uint16_t>(number % 60'000 + 1)},
             *Endpoint::parse("192.0.2.100:6446")},
            router::TcpState::established,
            {}};
}

/// A node with its table.
struct Node {
    Node(asio::io_context& io, const std::string& self, const std::string& peer,
         const Endpoint& peer_at)
        : streams(io.get_executor(),
                  // A loop that a test holds up is no peer that is gone.
                  {self, {loopback()}, {{peer, {peer_at}}}, {key("k", 1)}, 4 * patience}, events()),
          replica(table, streams, 1, 0, 99) {}

    FlowStreams::Events events() {
        FlowStreams::Events made;
        made.up = [this](std::size_t) { replica.up(BootClock::now()); };
        made.down = [this](std::size_t, const std::string& why) {
            downs.push_back(why);
            replica.down(BootClock::now());
        };
        made.heard = [this](std::size_t, const FlowMessage& message) {
            const bool fits = replica.heard(message, reset, BootClock::now());
            const auto* told = std::get_if<router::TellOrders>(&message);
            if (fits && told != nullptr) orders.push_back(*told);
            return fits;
        };
        made.drained = [this](std::size_t) { replica.drained(BootClock::now()); };
        return made;
    }
    void tell() { replica.tell(table.take_changes(), BootClock::now()); }
    void add(std::uint32_t from, std::uint32_t to) {
        for (; from < to; ++from) table.local(flow(from), router::Heard::begun);
    }
    FlowPeerStatus status() const {
        FlowPeerStatus made;
        replica.fill(made, BootClock::now());
        return made;
    }

    static FlowTable::Config config() {
        FlowTable::Config made;
        made.groups = {{*IpAddress::parse("192.0.2.100")}};
        made.nodes = 2;
        return made;
    }
    FlowTable table{config()};
    std::vector<router::FlowId> reset;
    std::vector<router::TellOrders> orders;
    std::vector<std::string> downs;
    FlowStreams streams;
    FlowReplica replica;
};

/// A node that says what a test lets it say, and notes what it hears.
struct FlowMessages {
    FlowMessages(asio::io_context& io, const std::string& self, const std::string& peer)
        : streams(io.get_executor(), {self, {loopback()}, {{peer, {loopback(1)}}}, {key("k", 1)}},
                  events()) {}

    FlowStreams::Events events() {
        FlowStreams::Events made;
        made.up = [](std::size_t) {};
        made.down = [](std::size_t, const std::string&) {};
        made.heard = [this](std::size_t, const FlowMessage& message) {
            heard.push_back(message);
            return true;
        };
        made.drained = [](std::size_t) {};
        return made;
    }
    void say(const FlowMessage& message) {
        streams.send(0, std::make_shared<const std::vector<std::byte>>(router::encode(message)));
    }

    std::vector<FlowMessage> heard;
    FlowStreams streams;
};

struct FlowReplicaTest : testing::Test {
    asio::io_context io_a;
    asio::io_context io_b;
    std::optional<Node> b;
    std::optional<Node> a;

    void SetUp() override {
        b.emplace(io_b, "b", "a", loopback(1));
        ASSERT_TRUE(b->streams.start());
        a.emplace(io_a, "a", "b", b->streams.listening().at(0));
        a->table.lead(0, true);
    }
    template <class Done>
    bool both_until(Done done) {
        const BootTime end = BootClock::now() + patience;
        while (!done() && BootClock::now() < end) {
            for (asio::io_context* io : {&io_a, &io_b}) {
                io->restart();
                io->run_one_for(1ms);
                io->poll();
            }
        }
        return done();
    }
    bool meet() {
        return both_until([&] { return a->status().state == "synced" && b->streams.is_up(0); });
    }
};

TEST_F(FlowReplicaTest, what_was_there_and_what_changes_arrives) {
    a->add(0, 5000);
    a->tell();
    ASSERT_TRUE(a->streams.start());
    ASSERT_TRUE(meet());
    EXPECT_EQ(b->table.count(1), 5000U);
    a->table.local_gone(flow(1).id);
    a->add(5000, 5002);
    a->tell();
    ASSERT_TRUE(both_until([&] { return b->table.count(1) == 5001; }));
    ASSERT_TRUE(both_until([&] { return a->status().lag_ms == 0; }));
    EXPECT_GT(a->status().delay_ms, 0);
    EXPECT_EQ(a->status().resyncs, 0U);
    EXPECT_EQ(b->status().flows, 5001U);
}

TEST_F(FlowReplicaTest, a_new_connection_starts_with_all_and_drops_what_is_gone) {
    a->add(0, 1000);
    a->tell();
    ASSERT_TRUE(a->streams.start());
    ASSERT_TRUE(meet());
    a.reset();
    ASSERT_TRUE(both_until([&] { return !b->streams.is_up(0); }));
    EXPECT_EQ(b->table.count(1), 1000U) << "that is what they are for";
    a.emplace(io_a, "a", "b", b->streams.listening().at(0));
    a->table.lead(0, true);
    a->add(990, 1010);
    ASSERT_TRUE(a->streams.start());
    ASSERT_TRUE(meet());
    EXPECT_EQ(b->table.count(1), 20U);
}

TEST_F(FlowReplicaTest, a_peer_that_does_not_read_is_told_all_again_once_it_does) {
    ASSERT_TRUE(a->streams.start());
    ASSERT_TRUE(meet());
    // Only a's loop runs: what it writes fills the sockets, then its queue.
    const auto only_a = [&] {
        for (int i = 0; i < 20; ++i) {
            io_a.restart();
            io_a.poll();
        }
    };
    a->add(0, 5000);
    const BootTime end = BootClock::now() + patience;
    for (int again = 0; a->status().state == "synced" && BootClock::now() < end; ++again) {
        for (std::uint32_t i = 0; i < 5000; ++i) {
            Flow changed = flow(i);
            changed.state =
                again % 2 == 0 ? router::TcpState::fin_wait : router::TcpState::close_wait;
            a->table.local(changed, router::Heard::changed);
        }
        a->tell();
        only_a();
    }
    a->add(5000, 6000);
    a->tell();
    EXPECT_LT(a->streams.queued(0), 6U * 1024 * 1024) << "bounded";
    EXPECT_EQ(a->status().state, "syncing");
    EXPECT_GT(a->status().lag_ms, 0);
    ASSERT_TRUE(both_until([&] {
        a->replica.tick(BootClock::now());
        return b->table.count(1) == a->table.count(0) && a->status().state == "synced";
    }));
    EXPECT_GE(a->status().resyncs, 1U);
    EXPECT_TRUE(a->downs.empty());
}

TEST_F(FlowReplicaTest, a_leader_that_has_reset_all_tells_the_former_one) {
    a->add(0, 10);
    a->tell();
    b->table.lead(0, true);
    ASSERT_TRUE(a->streams.start());
    ASSERT_TRUE(meet());
    EXPECT_EQ(b->reset.size(), 10U) << "told late, reset late";
    a->table.lead(0, false);
    b->replica.tell_taken({*IpAddress::parse("192.0.2.100")}, BootClock::now());
    ASSERT_TRUE(both_until([&] {
        a->tell();
        return b->table.count(1) == 0;
    }));
    EXPECT_EQ(a->table.count(0), 0U);
}

// Drained backends --------------------------------------------------------------------------------

router::BackendOrder order(std::uint16_t port, bool draining = true) {
    return {{IpAddress::v4({192, 0, 2, 21}), port}, draining, port, "a"};
}

TEST_F(FlowReplicaTest, F19_orders_are_told_at_the_beginning_and_when_they_change) {
    a->replica.tell_orders({order(1)}, true);
    ASSERT_TRUE(a->streams.start());
    ASSERT_TRUE(both_until([&] { return b->orders.size() == 1; }));
    EXPECT_EQ(b->orders[0], (router::TellOrders{true, {order(1)}}));
    EXPECT_EQ(a->status().orders, OrdersHeard::yes);
    EXPECT_TRUE(a->status().connected);
    a->replica.tell_orders({order(1), order(2)}, false);
    ASSERT_TRUE(both_until([&] { return b->orders.size() == 2; }));
    EXPECT_EQ(b->orders[1], (router::TellOrders{false, {order(1), order(2)}}));
    b->replica.tell_orders({order(3)}, true);
    ASSERT_TRUE(both_until([&] { return a->orders.size() == 1; }));
}

TEST_F(FlowReplicaTest, F20_all_orders_that_there_can_be_are_told) {
    std::vector<router::BackendOrder> all;
    while (all.size() < router::max_backend_orders) {
        all.push_back(order(static_cast<std::uint16_t>(all.size() + 1)));
    }
    a->replica.tell_orders(all, true);
    ASSERT_TRUE(a->streams.start());
    const auto told = [&] {
        std::size_t count = 0;
        for (const router::TellOrders& each : b->orders) count += each.orders.size();
        return count;
    };
    ASSERT_TRUE(both_until([&] { return told() == all.size(); }));
}

/// As the first version did: a hello of 1 and no ack before anything is to be acknowledged.
TEST_F(FlowReplicaTest, F19_a_node_of_protocol_1_is_not_told) {
    FlowMessages first(io_b, "b", "a");
    ASSERT_TRUE(first.streams.start());
    a.emplace(io_a, "a", "b", first.streams.listening().at(0));
    a->replica.tell_orders({order(1)}, true);
    ASSERT_TRUE(a->streams.start());
    ASSERT_TRUE(both_until([&] { return !first.heard.empty(); }));
    first.say(router::FlowHello{1, 7});
    first.say(router::SnapshotBegin{1, 0});
    first.say(router::SnapshotEnd{2});
    ASSERT_TRUE(both_until([&] { return a->status().orders == OrdersHeard::no; }));
    a->replica.tell_orders({order(2)}, false);
    first.say(router::FlowAck{1});
    a->replica.tick(BootClock::now());
    const auto pinged = [&] { return std::holds_alternative<FlowPing>(first.heard.back()); };
    ASSERT_TRUE(both_until(pinged));
    for (const FlowMessage& message : first.heard) {
        EXPECT_FALSE(std::holds_alternative<router::TellOrders>(message));
    }
    EXPECT_EQ(std::get<router::FlowHello>(first.heard.at(0)).protocol, 1U)
        << "the first version ends a connection with another hello";
    EXPECT_EQ(first.heard.at(1), FlowMessage(router::FlowAck{0})) << "which it takes for nothing";
    EXPECT_TRUE(a->streams.is_up(0));
}

TEST_F(FlowReplicaTest, F19_a_hello_of_2_is_as_good_and_one_of_3_is_not) {
    for (const std::uint16_t protocol : {std::uint16_t{2}, std::uint16_t{3}}) {
        FlowMessages other(io_b, "b", "a");
        ASSERT_TRUE(other.streams.start());
        a.emplace(io_a, "a", "b", other.streams.listening().at(0));
        a->replica.tell_orders({order(1)}, true);
        ASSERT_TRUE(a->streams.start());
        ASSERT_TRUE(both_until([&] { return !other.heard.empty(); }));
        other.say(router::FlowHello{protocol, 7});
        const auto told = [&] {
            return std::holds_alternative<router::TellOrders>(other.heard.back());
        };
        if (protocol == 2) {
            EXPECT_TRUE(both_until(told));
        } else {
            EXPECT_TRUE(both_until([&] { return !a->downs.empty(); }));
        }
    }
}

}  // namespace
}  // namespace hamr::router_io
