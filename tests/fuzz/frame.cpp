// SPDX-License-Identifier: GPL-2.0-or-later
// Heartbeat frames (docs/protocol.md, rules W1 to W11, A1 to A5): what is accepted is written back
// as the same bytes; nobody without a key gets a frame accepted; a changed bit is noticed.
#include "election/auth.hpp"
#include "election/wire.hpp"
#include "tests/fuzz/target.hpp"

#include <vector>

namespace hamr::fuzz {

namespace {

using namespace hamr::election;

const ClusterId cluster = cluster_id("shop");

Keyring make_keyring() {
    Key key{"k1", {}};
    key.bytes.fill(std::byte{0x5a});
    return Keyring({key});
}

void expect_sealed(const Keyring& keyring, Frame frame, std::size_t bit) {
    frame.cluster = cluster;
    std::vector<std::byte> datagram = keyring.seal(frame);
    HAMR_ASSERT(datagram.size() <= max_datagram_bytes);
    HAMR_ASSERT(keyring.open(datagram, cluster) == frame);
    datagram[bit / 8 % datagram.size()] ^= static_cast<std::byte>(1U << bit % 8);
    HAMR_ASSERT(!keyring.open(datagram, cluster));
}

void take(Bytes input) {
    static const Keyring keyring = make_keyring();
    const auto header = read_header(input);
    const auto frame = decode(input);
    // The stranger knows everything but the key.
    HAMR_ASSERT(!keyring.open(input, header ? header->cluster : cluster));
    if (!frame) {
        HAMR_ASSERT(frame.error() == DropReason::malformed);
        return;
    }
    HAMR_ASSERT(header && frame->cluster == header->cluster && valid(*frame));
    HAMR_ASSERT(same(encode(*frame, header->key), input));
    expect_sealed(keyring, *frame, ByteReader(input.last(4)).read<std::uint32_t>());
}

/// The same, with a header and a length that fit what the counts say: so that chance gets further.
std::vector<std::byte> repaired(Bytes input) {
    std::vector<std::byte> frame(input.begin(), input.end());
    frame.resize(std::max(frame.size(), min_frame_bytes));
    const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(frame[i]); };
    constexpr std::size_t flags = header_bytes + 20;
    constexpr std::size_t voters = flags + 3;
    constexpr std::size_t echoes = voters + 13;
    const std::size_t size =
        header_bytes + node_bytes + at(voters) * voter_bytes + at(echoes) * echo_bytes +
        (at(echoes + 2) << 8 | at(echoes + 3)) * group_bytes +
        ((at(flags) & 8) != 0 ? ask_bytes : 0) + ((at(flags) & 16) != 0 ? answer_bytes : 0);
    if (size <= max_frame_bytes) frame.resize(size);
    ByteWriter header;
    header.write(wire_magic);
    header.write(wire_version);
    header.write(std::uint8_t{0});
    header.write(static_cast<std::uint16_t>(frame.size()));
    std::copy(header.view().begin(), header.view().end(), frame.begin());
    return frame;
}

void run(Bytes input) {
    take(input);
    if (input.size() <= max_datagram_bytes) take(repaired(input));
}

}  // namespace

const Target frame{"frame", run, 256 << 10, 8};

}  // namespace hamr::fuzz
