// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/flow_wire.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace hamr::router {

namespace {

constexpr std::array<char, 8> magic = {'H', 'A', 'M', 'R', 'f', 'l', 'o', 'w'};
constexpr std::uint8_t greeting_version = 1;
constexpr std::uint8_t translated = 1;  // flag of a flow

enum class Type : std::uint8_t {
    hello = 1,
    snapshot_begin,
    snapshot_end,
    add,
    remove,
    taken,
    ping,
    ack,
    orders,
};

// Writing -----------------------------------------------------------------------------------------

void write_address(ByteWriter& out, const IpAddress& address) {
    out.write(std::as_bytes(std::span(address.bytes())).first(address.is_v4() ? 4 : 16));
}

void write_endpoint(ByteWriter& out, const Endpoint& endpoint) {
    write_address(out, endpoint.address);
    out.write(endpoint.port);
}

std::uint8_t family_number(const IpAddress& address) {
    return address.is_v4() ? 4 : 6;
}

void write_translation(ByteWriter& out, const Translation& translation) {
    write_endpoint(out, translation.backend);
    write_endpoint(out, translation.source);
    out.write(translation.timeout_s);
    for (const std::uint8_t scale : translation.scale) out.write(scale);
    for (const std::uint8_t flags : translation.flags) out.write(flags);
}

void write_flow(ByteWriter& out, const Flow& flow) {
    out.write(family_number(flow.id.vip.address));
    out.write(static_cast<std::uint8_t>(flow.state));
    out.write(flow.translation ? translated : std::uint8_t{0});
    out.write(std::uint8_t{0});
    write_endpoint(out, flow.id.client);
    write_endpoint(out, flow.id.vip);
    if (flow.translation) write_translation(out, *flow.translation);
}

void write_id(ByteWriter& out, const FlowId& id) {
    out.write(family_number(id.vip.address));
    out.write(std::uint8_t{0});
    write_endpoint(out, id.client);
    write_endpoint(out, id.vip);
}

void write_order(ByteWriter& out, const BackendOrder& order) {
    out.write(family_number(order.backend.address));
    out.write(static_cast<std::uint8_t>(order.draining ? 1 : 0));
    out.write(order.counter);
    write_endpoint(out, order.backend);
    out.write(static_cast<std::uint8_t>(order.node.size()));
    out.write(std::as_bytes(std::span(order.node)));
}

/// One overload for each message; the type is the first byte.
class Writer {
  public:
    explicit Writer(ByteWriter& out) : out_(out) {}

    void operator()(const FlowHello& hello) {
        begin(Type::hello);
        out_.write(hello.protocol);
        out_.write(hello.boot);
    }
    void operator()(const SnapshotBegin& message) {
        begin(Type::snapshot_begin, message.sequence);
        out_.write(message.flows);
    }
    void operator()(const SnapshotEnd& message) { begin(Type::snapshot_end, message.sequence); }
    void operator()(const AddFlows& message) {
        begin(Type::add, message.sequence);
        count(message.flows.size(), max_flows_in_message);
        for (const Flow& flow : message.flows) write_flow(out_, flow);
    }
    void operator()(const RemoveFlows& message) {
        begin(Type::remove, message.sequence);
        count(message.flows.size(), max_flows_in_message);
        for (const FlowId& id : message.flows) write_id(out_, id);
    }
    void operator()(const TakenOver& message) {
        begin(Type::taken, message.sequence);
        count(message.vips.size(), max_vips_in_message);
        for (const IpAddress& vip : message.vips) {
            out_.write(family_number(vip));
            write_address(out_, vip);
        }
    }
    void operator()(const FlowPing& message) { begin(Type::ping, message.sequence); }
    void operator()(const FlowAck& message) { begin(Type::ack, message.sequence); }
    void operator()(const TellOrders& message) {
        begin(Type::orders);
        out_.write(static_cast<std::uint8_t>(message.standing ? 1 : 0));
        count(message.orders.size(), max_orders_in_message);
        for (const BackendOrder& order : message.orders) {
            HAMR_ASSERT(is_sound(order));
            write_order(out_, order);
        }
    }

  private:
    void begin(Type type) { out_.write(static_cast<std::uint8_t>(type)); }
    void begin(Type type, std::uint64_t sequence) {
        begin(type);
        out_.write(sequence);
    }
    void count(std::size_t size, std::size_t limit) {
        HAMR_ASSERT(size <= limit);
        out_.write(static_cast<std::uint16_t>(size));
    }

    ByteWriter& out_;
};

// Reading -----------------------------------------------------------------------------------------

class Reader {
  public:
    explicit Reader(Bytes bytes) : in_(bytes) {}

    std::optional<FlowMessage> message() {
        FlowMessage read = contents();
        if (!good_ || !in_.at_end()) return {};
        return read;
    }

  private:
    void want(bool condition) { good_ = good_ && condition && in_.ok(); }

    FlowMessage contents() {
        switch (static_cast<Type>(in_.read<std::uint8_t>())) {
            case Type::hello: {
                FlowHello hello;
                hello.protocol = in_.read<std::uint16_t>();
                hello.boot = in_.read<std::uint64_t>();
                want(hello.protocol != 0 && hello.boot != 0);
                return hello;
            }
            case Type::snapshot_begin: {
                SnapshotBegin begin{sequence(), 0};
                begin.flows = in_.read<std::uint32_t>();
                return begin;
            }
            case Type::snapshot_end:
                return SnapshotEnd{sequence()};
            case Type::add:
                return add();
            case Type::remove:
                return remove();
            case Type::taken:
                return taken();
            case Type::ping:
                return FlowPing{in_.read<std::uint64_t>()};
            case Type::ack:
                return FlowAck{in_.read<std::uint64_t>()};
            case Type::orders:
                return orders();
        }
        good_ = false;
        return FlowPing{};
    }

    std::uint64_t sequence() {
        const auto number = in_.read<std::uint64_t>();
        want(number != 0);
        return number;
    }

    /// A count that says more than the rest can hold is refused before anything is allocated.
    std::size_t count(std::size_t limit, std::size_t least_bytes) {
        const std::size_t number = in_.read<std::uint16_t>();
        want(number >= 1 && number <= limit && number * least_bytes <= in_.left());
        return good_ ? number : 0;
    }

    AddFlows add() {
        AddFlows message{sequence(), {}};
        const std::size_t number = count(max_flows_in_message, 16);
        message.flows.reserve(number);
        for (std::size_t i = 0; i < number && good_; ++i) message.flows.push_back(flow());
        return message;
    }

    RemoveFlows remove() {
        RemoveFlows message{sequence(), {}};
        const std::size_t number = count(max_flows_in_message, 14);
        message.flows.reserve(number);
        for (std::size_t i = 0; i < number && good_; ++i) {
            const Family of = family();
            want(in_.read<std::uint8_t>() == 0);
            message.flows.push_back(id(of));
        }
        return message;
    }

    TakenOver taken() {
        TakenOver message{sequence(), {}};
        const std::size_t number = count(max_vips_in_message, 5);
        message.vips.reserve(number);
        for (std::size_t i = 0; i < number && good_; ++i) message.vips.push_back(address(family()));
        return message;
    }

    TellOrders orders() {
        TellOrders message{flag(), {}};
        const std::size_t number = count(max_orders_in_message, 18);
        message.orders.reserve(number);
        for (std::size_t i = 0; i < number && good_; ++i) message.orders.push_back(order());
        return message;
    }

    BackendOrder order() {
        BackendOrder read;
        const Family of = family();
        read.draining = flag();
        read.counter = in_.read<std::uint64_t>();
        read.backend = endpoint(of);
        const Bytes name = in_.take(in_.read<std::uint8_t>());
        for (const std::byte b : name) read.node += std::to_integer<char>(b);
        want(is_sound(read));
        return read;
    }

    bool flag() {
        const auto number = in_.read<std::uint8_t>();
        want(number <= 1);
        return number == 1;
    }

    Family family() {
        const auto number = in_.read<std::uint8_t>();
        want(number == 4 || number == 6);
        return number == 4 ? Family::ipv4 : Family::ipv6;
    }

    IpAddress address(Family of) {
        IpAddress read;
        if (of == Family::ipv4) {
            read = IpAddress::v4(raw<4>());
        } else {
            read = IpAddress::v6(raw<16>());
        }
        want(!read.is_unspecified() && !read.is_multicast());
        return read;
    }

    template <std::size_t size>
    std::array<std::uint8_t, size> raw() {
        std::array<std::uint8_t, size> copy{};
        const Bytes bytes = in_.take(size);
        std::transform(bytes.begin(), bytes.end(), copy.begin(),
                       [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
        return copy;
    }

    Endpoint endpoint(Family of) {
        Endpoint read{address(of), 0};
        read.port = in_.read<std::uint16_t>();
        want(read.port != 0);
        return read;
    }

    FlowId id(Family of) {
        FlowId read;
        read.client = endpoint(of);
        read.vip = endpoint(of);
        return read;
    }

    Flow flow() {
        const Family of = family();
        const auto state = in_.read<std::uint8_t>();
        const auto flags = in_.read<std::uint8_t>();
        want(state >= 1 && state <= max_tcp_state && (flags & ~translated) == 0);
        want(in_.read<std::uint8_t>() == 0);
        Flow read{id(of), static_cast<TcpState>(good_ ? state : 0), {}};
        if ((flags & translated) != 0) read.translation = translation(of);
        return read;
    }

    Translation translation(Family of) {
        Translation read;
        read.backend = endpoint(of);
        read.source = endpoint(of);
        read.timeout_s = in_.read<std::uint32_t>();
        constexpr std::uint8_t most_scale = 14;  // RFC 7323, 2.3
        for (std::uint8_t& scale : read.scale) {
            scale = in_.read<std::uint8_t>();
            want(scale <= most_scale);
        }
        for (std::uint8_t& flags : read.flags) flags = in_.read<std::uint8_t>();
        return read;
    }

    ByteReader in_;
    bool good_ = true;
};

}  // namespace

std::vector<std::byte> encode_greeting(const FlowGreeting& greeting) {
    ByteWriter out;
    out.write(std::as_bytes(std::span(magic)));
    out.write(greeting_version);
    for (int reserved = 0; reserved < 3; ++reserved) out.write(std::uint8_t{0});
    out.write(greeting.key);
    out.write(greeting.from);
    out.write(greeting.to);
    out.write(greeting.nonce);
    out.write(greeting.tag);
    HAMR_ASSERT(out.size() == flow_greeting_bytes);
    return out.take();
}

std::optional<FlowGreeting> decode_greeting(Bytes bytes) {
    ByteReader in(bytes);
    const Bytes head = in.take(magic.size());
    if (!std::equal(head.begin(), head.end(), magic.begin(), magic.end(),
                    [](std::byte b, char c) { return std::to_integer<char>(b) == c; })) {
        return {};
    }
    if (in.read<std::uint8_t>() != greeting_version) return {};
    for (int reserved = 0; reserved < 3; ++reserved) {
        if (in.read<std::uint8_t>() != 0) return {};
    }
    FlowGreeting greeting;
    greeting.key = in.read<std::uint64_t>();
    greeting.from = in.read<std::uint64_t>();
    greeting.to = in.read<std::uint64_t>();
    const Bytes nonce = in.take(greeting.nonce.size());
    const Bytes tag = in.take(greeting.tag.size());
    if (!in.at_end()) return {};
    std::copy(nonce.begin(), nonce.end(), greeting.nonce.begin());
    std::copy(tag.begin(), tag.end(), greeting.tag.begin());
    return greeting;
}

std::vector<std::byte> encode(const FlowMessage& message) {
    ByteWriter out;
    std::visit(Writer(out), message);
    HAMR_ASSERT(out.size() <= max_flow_message_bytes);
    return out.take();
}

std::optional<FlowMessage> decode_flow_message(Bytes bytes) {
    if (bytes.size() > max_flow_message_bytes) return {};
    return Reader(bytes).message();
}

std::optional<std::uint64_t> sequence_of(const FlowMessage& message) {
    if (const auto* begin = std::get_if<SnapshotBegin>(&message)) return begin->sequence;
    if (const auto* end = std::get_if<SnapshotEnd>(&message)) return end->sequence;
    if (const auto* add = std::get_if<AddFlows>(&message)) return add->sequence;
    if (const auto* remove = std::get_if<RemoveFlows>(&message)) return remove->sequence;
    if (const auto* taken = std::get_if<TakenOver>(&message)) return taken->sequence;
    return {};
}

}  // namespace hamr::router
