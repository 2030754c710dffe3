// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/wire.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <utility>

namespace hamr::election {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Flags of the node.
constexpr std::uint8_t flag_wants_answer = 1U << 0;
constexpr std::uint8_t flag_starting = 1U << 1;
constexpr std::uint8_t flag_drained = 1U << 2;
constexpr std::uint8_t flag_ask = 1U << 3;
constexpr std::uint8_t flag_answer = 1U << 4;
constexpr std::uint8_t flags_known = 0x1f;

// Flags of a group: the claim in the two low bits.
constexpr std::uint8_t claim_mask = 0x03;
constexpr std::uint8_t flag_announced = 1U << 2;
constexpr std::uint8_t flag_forced = 1U << 3;
constexpr std::uint8_t group_flags_known = claim_mask | flag_announced | flag_forced;

// Flags of an ask.
constexpr std::uint8_t flag_force = 1U << 0;

constexpr std::uint8_t flag_if(bool condition, std::uint8_t flag) {
    return condition ? flag : std::uint8_t{0};
}

template <class Tag, class T>
void put(ByteWriter& out, const Strong<Tag, T>& id) {
    out.write(id.value);
}

template <class Tag, class T>
void get(ByteReader& in, Strong<Tag, T>& id) {
    id.value = in.read<T>();
}

// Senders list things in a steady order, mostly ascending, so that this is mostly one pass.
template <std::size_t Limit, class Items, class Key>
bool all_different(const Items& items, Key key) {
    const auto not_ascending = std::adjacent_find(
        items.begin(), items.end(),
        [&](const auto& left, const auto& right) { return key(left) >= key(right); });
    if (not_ascending == items.end()) return true;
    std::array<decltype(key(items.front())), Limit> keys{};
    const auto end = std::transform(items.begin(), items.end(), keys.begin(), key);
    std::sort(keys.begin(), end);
    return std::adjacent_find(keys.begin(), end) == end;
}

bool valid_timing(const Timing& timing) {
    return timing.interval >= milliseconds{2} && timing.interval <= seconds{1} &&
           timing.misses >= 2 && timing.misses <= 20 && timing.lease() <= longest_lease;
}

bool valid_voters(const std::vector<NodeId>& voters) {
    if (voters.empty() || voters.size() > max_nodes || voters.front() == no_node) return false;
    return std::adjacent_find(voters.begin(), voters.end(), std::greater_equal<>{}) == voters.end();
}

bool valid_echoes(const std::vector<Echo>& echoes) {
    if (echoes.size() > max_echoes) return false;
    const bool each = std::all_of(echoes.begin(), echoes.end(), [](const Echo& echo) {
        return echo.node != no_node && echo.boot.value != 0 && echo.newest.value != 0;
    });
    return each && all_different<max_echoes>(echoes, [](const Echo& echo) {
               return std::pair(echo.node.value, echo.boot.value);
           });
}

bool valid_group(const GroupEntry& entry) {
    if (entry.group.value == 0) return false;
    if (entry.claim > Claim::leader) return false;
    if (entry.claim == Claim::none && entry.term.value != 0) return false;
    if (entry.claim >= Claim::candidate && entry.term.value == 0) return false;
    const Term newest = std::max({entry.term, entry.seen, entry.promised_term, entry.released});
    if (newest > last_term) return false;
    return (entry.promised_to == no_node) == (entry.promised_term.value == 0);
}

bool valid_groups(const std::vector<GroupEntry>& groups) {
    return groups.size() <= max_groups && std::all_of(groups.begin(), groups.end(), valid_group) &&
           all_different<max_groups>(groups,
                                     [](const GroupEntry& entry) { return entry.group.value; });
}

void put_group(ByteWriter& out, const GroupEntry& entry) {
    put(out, entry.group);
    const auto claim = static_cast<std::uint8_t>(entry.claim);
    out.write(static_cast<std::uint8_t>(claim | flag_if(entry.announced, flag_announced) |
                                        flag_if(entry.forced, flag_forced)));
    put(out, entry.term);
    put(out, entry.seen);
    put(out, entry.promised_to);
    put(out, entry.promised_term);
    put(out, entry.supports);
    put(out, entry.released);
    put(out, entry.successor);
}

bool get_group(ByteReader& in, GroupEntry& entry) {
    get(in, entry.group);
    const auto flags = in.read<std::uint8_t>();
    entry.claim = static_cast<Claim>(flags & claim_mask);
    entry.announced = (flags & flag_announced) != 0;
    entry.forced = (flags & flag_forced) != 0;
    get(in, entry.term);
    get(in, entry.seen);
    get(in, entry.promised_to);
    get(in, entry.promised_term);
    get(in, entry.supports);
    get(in, entry.released);
    get(in, entry.successor);
    return (flags & ~group_flags_known) == 0;
}

void put_echo(ByteWriter& out, const Echo& echo) {
    put(out, echo.node);
    put(out, echo.boot);
    put(out, echo.newest);
    put(out, echo.checked);
}

void get_echo(ByteReader& in, Echo& echo) {
    get(in, echo.node);
    get(in, echo.boot);
    get(in, echo.newest);
    get(in, echo.checked);
}

void put_ask(ByteWriter& out, const Ask& ask) {
    out.write(ask.id);
    put(out, ask.group);
    put(out, ask.leader);
    put(out, ask.target);
    out.write(flag_if(ask.force, flag_force));
}

bool get_ask(ByteReader& in, Ask& ask) {
    ask.id = in.read<std::uint32_t>();
    get(in, ask.group);
    get(in, ask.leader);
    get(in, ask.target);
    const auto flags = in.read<std::uint8_t>();
    ask.force = (flags & flag_force) != 0;
    return (flags & ~flag_force) == 0;
}

void put_answer(ByteWriter& out, const Answer& answer) {
    put(out, answer.asker);
    out.write(answer.id);
    out.write(static_cast<std::uint8_t>(answer.result));
    put(out, answer.target);
}

void get_answer(ByteReader& in, Answer& answer) {
    get(in, answer.asker);
    answer.id = in.read<std::uint32_t>();
    answer.result = static_cast<AskResult>(in.read<std::uint8_t>());
    get(in, answer.target);
}

std::size_t frame_bytes(const Frame& frame) {
    return header_bytes + node_bytes + frame.voters.size() * voter_bytes +
           frame.echoes.size() * echo_bytes + frame.groups.size() * group_bytes +
           (frame.ask ? ask_bytes : 0) + (frame.answer ? answer_bytes : 0);
}

void put_header(ByteWriter& out, const Frame& frame, KeyId key) {
    out.write(wire_magic);
    out.write(wire_version);
    out.write(std::uint8_t{0});
    out.write(static_cast<std::uint16_t>(frame_bytes(frame)));
    put(out, key);
    put(out, frame.cluster);
}

void put_node(ByteWriter& out, const Frame& frame) {
    put(out, frame.sender);
    put(out, frame.boot);
    put(out, frame.sequence);
    out.write(static_cast<std::uint8_t>(
        flag_if(frame.wants_answer, flag_wants_answer) | flag_if(frame.starting, flag_starting) |
        flag_if(frame.drained, flag_drained) | flag_if(frame.ask.has_value(), flag_ask) |
        flag_if(frame.answer.has_value(), flag_answer)));
    out.write(static_cast<std::uint8_t>(frame.mode));
    out.write(static_cast<std::uint8_t>(frame.timing.misses));
    out.write(static_cast<std::uint8_t>(frame.voters.size()));
    out.write(static_cast<std::uint32_t>(frame.timing.interval.count()));
    out.write(frame.demotion);
    put(out, frame.epoch);
    out.write(static_cast<std::uint8_t>(frame.echoes.size()));
    out.write(std::uint8_t{0});
    out.write(static_cast<std::uint16_t>(frame.groups.size()));
}

// The fixed part, and room for what it announces: false when a count or a reserved bit forbids to
// read on.
bool get_node(ByteReader& in, Frame& frame) {
    get(in, frame.sender);
    get(in, frame.boot);
    get(in, frame.sequence);
    const auto flags = in.read<std::uint8_t>();
    frame.wants_answer = (flags & flag_wants_answer) != 0;
    frame.starting = (flags & flag_starting) != 0;
    frame.drained = (flags & flag_drained) != 0;
    frame.mode = static_cast<Mode>(in.read<std::uint8_t>());
    frame.timing.misses = in.read<std::uint8_t>();
    const std::size_t voters = in.read<std::uint8_t>();
    frame.timing.interval = Duration{in.read<std::uint32_t>()};
    frame.demotion = in.read<std::uint32_t>();
    get(in, frame.epoch);
    const std::size_t echoes = in.read<std::uint8_t>();
    const auto reserved = in.read<std::uint8_t>();
    const std::size_t groups = in.read<std::uint16_t>();
    if ((flags & ~flags_known) != 0 || reserved != 0) return false;
    if (voters > max_nodes || echoes > max_echoes || groups > max_groups) return false;
    if ((flags & flag_ask) != 0) frame.ask.emplace();
    if ((flags & flag_answer) != 0) frame.answer.emplace();
    frame.voters.resize(voters);
    frame.echoes.resize(echoes);
    frame.groups.resize(groups);
    return true;
}

}  // namespace

bool valid(const Frame& frame) {
    if (frame.sender == no_node || frame.boot.value == 0 || frame.sequence.value == 0) return false;
    if (frame.mode > Mode::majority) return false;
    if (frame.answer && frame.answer->result > AskResult::timed_out) return false;
    return valid_timing(frame.timing) && valid_voters(frame.voters) && valid_echoes(frame.echoes) &&
           valid_groups(frame.groups);
}

void encode_into(const Frame& frame, KeyId key, std::vector<std::byte>& out) {
    HAMR_ASSERT(valid(frame));
    ByteWriter writer(std::move(out));
    put_header(writer, frame, key);
    put_node(writer, frame);
    for (const NodeId voter : frame.voters) put(writer, voter);
    for (const Echo& echo : frame.echoes) put_echo(writer, echo);
    for (const GroupEntry& entry : frame.groups) put_group(writer, entry);
    if (frame.ask) put_ask(writer, *frame.ask);
    if (frame.answer) put_answer(writer, *frame.answer);
    HAMR_ASSERT(writer.size() == frame_bytes(frame));
    out = writer.take();
}

std::vector<std::byte> encode(const Frame& frame, KeyId key) {
    std::vector<std::byte> out;
    out.reserve(frame_bytes(frame));
    encode_into(frame, key, out);
    return out;
}

tl::expected<Header, DropReason> read_header(Bytes bytes) {
    const auto malformed = tl::unexpected(DropReason::malformed);
    if (bytes.size() < min_frame_bytes || bytes.size() > max_frame_bytes) return malformed;
    ByteReader in(bytes);
    if (in.read<std::uint32_t>() != wire_magic) return malformed;
    if (in.read<std::uint8_t>() != wire_version) return malformed;
    if (in.read<std::uint8_t>() != 0) return malformed;
    if (in.read<std::uint16_t>() != bytes.size()) return malformed;
    Header header;
    get(in, header.key);
    get(in, header.cluster);
    return header;
}

tl::expected<Frame, DropReason> decode(Bytes bytes) {
    const auto malformed = tl::unexpected(DropReason::malformed);
    const auto header = read_header(bytes);
    if (!header) return tl::unexpected(header.error());
    tl::expected<Frame, DropReason> result(tl::in_place);
    Frame& frame = *result;
    frame.cluster = header->cluster;
    ByteReader in(bytes.subspan(header_bytes));
    if (!get_node(in, frame)) return malformed;
    if (frame_bytes(frame) != bytes.size()) return malformed;
    for (NodeId& voter : frame.voters) get(in, voter);
    for (Echo& echo : frame.echoes) get_echo(in, echo);
    bool reserved_clear = true;
    for (GroupEntry& entry : frame.groups) reserved_clear &= get_group(in, entry);
    if (frame.ask) reserved_clear &= get_ask(in, *frame.ask);
    if (frame.answer) get_answer(in, *frame.answer);
    if (!in.at_end() || !reserved_clear || !valid(frame)) return malformed;
    return result;
}

}  // namespace hamr::election
