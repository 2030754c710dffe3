// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/unique_fd.hpp"
#include "vip/links.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

// A network of its own for one test: the body runs in a thread with a network namespace without a
// name, which the kernel takes away with the thread, however the test ends. In it a pair of veth
// interfaces: "near" is the host's, "far" the segment where the test listens and speaks.
//
//   near: 02:00:5e:00:53:01, 192.0.2.11/24, 2001:db8::11/64, up
//   far:  02:00:5e:00:53:02, no addresses, up

namespace hamr::vip::test {

using Octets = std::vector<std::byte>;

inline constexpr auto patience = std::chrono::seconds{10};

/// Runs `body` there, on one processor so that frames keep their order; skips without root.
void in_namespace(const std::function<void()>& body);
#define HAMR_IN_NAMESPACE(...)                                                              \
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, for a network namespace of its own"; \
    ::hamr::vip::test::in_namespace(__VA_ARGS__)

/// Runs a shell command in the calling thread's namespace; whether it succeeded.
bool shell(const std::string& command);
/// Until it succeeds.
bool becomes_true(const std::string& command);
/// Until the kernel has finished adding the IPv6 address.
bool answers_for(const std::string& ipv6);
/// What it prints.
std::string output_of(const std::string& command);

InterfaceIndex index_of(const char* name);

Octets octets(Bytes bytes);
/// "02 00 5e …" for tables and failures.
Octets from_hex(const std::string& text);

/// Whole frames on an interface, both ways.
class Port {
  public:
    explicit Port(const char* interface);
    void send(Bytes frame) const;
    /// What came in until a frame `until` accepts, that one included; all of it when none came.
    std::vector<Octets> receive_until(const std::function<bool(const Octets&)>& until) const;
    void discard() const;

  private:
    UniqueFd fd_;
};

/// The near and the far end.
class Wire {
  public:
    Wire();
    /// Puts a frame on near's egress; whether it comes out at the far end.
    bool passes(Bytes frame);
    /// Does something that makes the host send; whether a frame that `wanted` accepts comes out.
    bool sends(const std::function<void()>& something,
               const std::function<bool(const Octets&)>& wanted);
    /// Sends `question` to the host, then one about its own address, which is always answered;
    /// whether an answer from `address` came before that.
    bool answers(Bytes question, Bytes own_question, const IpAddress& address,
                 const IpAddress& own);

    Port near{"near"};
    Port far{"far"};

  private:
    Octets marker();
    unsigned markers_ = 0;
};

// --- frames for the tests --------------------------------------------------------------------

enum class Tcp : unsigned char { syn = 0x02, syn_ack = 0x12, ack = 0x10, fin_ack = 0x11, rst = 4 };

/// An IPv4 or IPv6 frame with that protocol number and payload; checksums are left zero, which
/// nobody on the way looks at.
Octets ip_frame(const IpAddress& source, unsigned protocol, const Octets& payload);
Octets udp_frame(const IpAddress& source);
Octets tcp_frame(const IpAddress& source, Tcp flags);
/// With an 802.1Q tag put in.
Octets tagged(Octets frame, unsigned ethertype = 0x8100);
/// "Who has `address`?", from 192.0.2.1 or 2001:db8::1 at the far end.
Octets question(const IpAddress& address);

/// Whether the frame is sent as `address`: IP source, ARP sender or ND advertisement target.
bool is_sent_as(const Octets& frame, const IpAddress& address);

/// A UDP datagram through the host's own stack.
void send_udp(const IpAddress& source, const IpAddress& destination);

}  // namespace hamr::vip::test
