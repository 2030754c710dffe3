// SPDX-License-Identifier: GPL-2.0-or-later
// The stream of flows (docs/protocol.md, rules F): what is accepted is written back as the same
// bytes; nobody without a key gets past the greeting; a peer's messages fill no more than the
// table's limit.
#include "router/flow_wire.hpp"
#include "router/flows.hpp"
#include "router/io/flow_stream_crypto.hpp"
#include "tests/fuzz/target.hpp"

#include <variant>

namespace hamr::fuzz {

namespace {

using namespace hamr::router;
using namespace hamr::router_io;

constexpr std::size_t limit = 8;

FlowTable make_table() {
    FlowTable::Config config;
    config.groups = {{IpAddress::v4({192, 0, 2, 100})},
                     {IpAddress::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})}};
    config.nodes = 3;
    config.limit = limit;
    config.replicas = true;
    return FlowTable(config);
}

class Hearer {
  public:
    explicit Hearer(std::size_t node) : node_(node) {}

    void hear(const FlowMessage& message) { std::visit(*this, message); }

    void operator()(const SnapshotBegin&) { table_.begin(node_); }
    void operator()(const SnapshotEnd&) { table_.end(node_); }
    void operator()(const AddFlows& message) {
        for (const Flow& flow : message.flows) (void)table_.add(node_, flow);
    }
    void operator()(const RemoveFlows& message) {
        for (const FlowId& id : message.flows) table_.remove(node_, id);
    }
    void operator()(const TakenOver& message) { table_.taken(node_, message.vips); }
    void operator()(const TellOrders& message) { (void)orders_.merge(message.orders); }
    void operator()(const FlowHello&) { table_.lead(0, !table_.leads(0)); }
    void operator()(const FlowPing&) { node_ = 3 - node_; }
    void operator()(const FlowAck&) { (void)table_.take_kernel_work(4); }

    void check() {
        HAMR_ASSERT(table_.size() <= limit && table_.kernel_work() <= 4096);
        HAMR_ASSERT(orders_.size() <= max_backend_orders);
        const FlowChanges changes = table_.take_changes();
        HAMR_ASSERT(changes.added.size() <= limit);
        for (std::size_t group = 0; group < 2; ++group) {
            HAMR_ASSERT(table_.foreign(group).size() <= table_.size());
        }
    }

  private:
    std::size_t node_;
    FlowTable table_ = make_table();
    BackendOrders orders_{"router1"};
};

void expect_same(Bytes bytes, Hearer* hearer) {
    const auto message = decode_flow_message(bytes);
    if (!message) return;
    HAMR_ASSERT(same(encode(*message), bytes));
    if (hearer != nullptr) hearer->hear(*message);
}

/// Messages one after the other, each with its length, as on the stream.
void stream(Bytes input) {
    Hearer hearer(1);
    ByteReader reader(input);
    for (int i = 0; i < 64 && reader.left() > 0; ++i) {
        expect_same(reader.take(reader.read<std::uint16_t>()), &hearer);
        hearer.check();
    }
}

void strangers(Bytes input) {
    FlowKey secret;
    secret.id = "k1";
    secret.bytes.fill(std::byte{0x5a});
    static const FlowKeys keys("router1", {secret});
    static const std::vector<std::byte> ours = keys.greet("router2");
    if (const auto greeting = decode_greeting(input)) {
        HAMR_ASSERT(same(encode_greeting(*greeting), input));
        HAMR_ASSERT(!keys.knows(*greeting));
    }
    HAMR_ASSERT(!keys.agree("router2", ours, input));
    if (input.size() < flow_header_bytes) return;
    FlowCipher cipher({}, {});
    HAMR_ASSERT(cipher.begin(input.first(flow_header_bytes)));
    HAMR_ASSERT(!cipher.open(input.subspan(flow_header_bytes)));
}

void run(Bytes input) {
    expect_same(input, nullptr);
    stream(input);
    strangers(input);
}

}  // namespace

const Target flow{"flow", run, 256 << 10, 64};

}  // namespace hamr::fuzz
