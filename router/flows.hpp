// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

// The table of flows: which client connections run through the addresses of the groups, and on
// which node they end. Pure: events of this host's kernel and messages of peers in; changes for
// the peers, and flows whose clients are to be reset, out.
//
// Owner     The node whose kernel has the connection. One owner per flow: what this host's kernel
//           has is its own, whatever a peer says; among peers the last that said so.
// Deltas    take_changes() has what became of own flows since it was last called, merged: a flow
//           that came and went in between is not told. Removals apply before additions.
// Full sync A dump of the kernel's table, or a peer's snapshot, lies between begin and end: what it
//           did not name is gone at its end. Events may come in between.
// Takeover  Flows of others through an address that this node leads are to be reset: foreign() at
//           the takeover, and what add() says later. A client that came forward here is no longer
//           foreign, so asking again gives those that have not answered.
// Lost      An own flow that ends while this node does not lead its address ends in silence: the
//           gate lets no packet of it out. It is kept, and peers go on knowing it, until its client
//           has been reset by whoever leads next; by this node too, should that be the one.
// Replicas  With `replicas` (the embedded router) what others own is to be in this host's kernel,
//           too: take_kernel_work() says what is to be done for that. This host's kernel then has
//           own flows only of what this node leads. Whoever begins to lead owns all that it knows,
//           at once; what has no translation stays foreign. Whoever leads no more owns nothing: its
//           entries stay in its kernel until taken() names what of them the new leader has.
//           A snapshot's end takes nothing away, taken() does: a leader that has just started says
//           it once it has read its kernel's table.
// Limits    `limit` flows, own and others' together; some 80 bytes each (a translation: 80 more).
//           Only TCP, only the addresses given.
// Threading none: a value.

namespace hamr::router {

/// As the kernel's connection tracking numbers them.
enum class TcpState : std::uint8_t {
    none = 0,
    syn_sent,
    syn_recv,
    established,
    fin_wait,    ///< one side has ended
    close_wait,  ///< and the other side has acknowledged that
    last_ack,    ///< both have ended
    time_wait,
    close,
    syn_sent2,
};
inline constexpr std::uint8_t max_tcp_state = 9;

/// Whether a client may still wait for something: established, or one side has ended.
[[nodiscard]] bool is_open(TcpState state);

/// What names a flow: where the client's packets come from and go to.
struct FlowId {
    Endpoint client;
    Endpoint vip;

    friend auto operator<=>(const FlowId&, const FlowId&) = default;
};

/// The other side of a flow that the kernel translates (the embedded router): what a peer's kernel
/// needs, besides the id, to go on with it. Both endpoints are of the id's family.
struct Translation {
    Endpoint backend;  ///< where the client's packets are sent to
    Endpoint source;   ///< as whom the backend sees the client
    std::uint32_t timeout_s = 0;
    /// Window scale and flags (IP_CT_TCP_FLAG_*) of the client's direction, then the backend's.
    std::array<std::uint8_t, 2> scale{};
    std::array<std::uint8_t, 2> flags{};

    friend bool operator==(const Translation&, const Translation&) = default;
};

struct Flow {
    FlowId id;
    TcpState state = TcpState::established;
    std::optional<Translation> translation{};

    friend bool operator==(const Flow&, const Flow&) = default;
};

/// How the kernel told of a flow.
enum class Heard : std::uint8_t {
    begun,    ///< a new entry
    changed,  ///< another state
    dumped,   ///< between begin_dump() and end_dump()
};

/// What this host's kernel is to be told of one flow.
struct KernelWork {
    FlowId id;
    std::optional<Flow> flow{};  ///< with a translation; nothing: it is to be deleted
    bool known = false;          ///< the kernel has it by all that is known: another state
    bool own = false;            ///< as this node's own: what the kernel has already is right

    friend bool operator==(const KernelWork&, const KernelWork&) = default;
};

struct FlowChanges {
    std::vector<FlowId> removed;
    std::vector<Flow> added;  ///< or changed

    [[nodiscard]] bool empty() const { return removed.empty() && added.empty(); }
};

class FlowTable {
  public:
    /// A node is a number below `nodes`, and 0 is this one. `seed` is for the hash: clients choose
    /// their ports.
    struct Config {
        std::vector<std::vector<IpAddress>> groups;
        std::size_t nodes = 1;
        std::uint64_t seed = 0;
        std::size_t limit = 200'000;
        bool replicas = false;  ///< others' flows are to be in this host's kernel
    };
    static constexpr std::size_t self = 0;

    explicit FlowTable(Config config);

    // This host's kernel.
    void local(const Flow& flow, Heard heard);
    void local_gone(const FlowId& id);
    void begin_dump();
    void end_dump();

    // Peers. begin() and end() enclose a snapshot.
    void begin(std::size_t node);
    /// True when this node leads the flow's address: the client is to be reset.
    [[nodiscard]] bool add(std::size_t node, const Flow& flow);
    void remove(std::size_t node, const FlowId& id);
    void end(std::size_t node);
    /// Nothing of this peer is known any more.
    void forget(std::size_t node);
    /// `node` leads these addresses and has reset all others' clients: others' flows are over, and
    /// own ones are not told any more, unless this node leads the address itself. With replicas:
    /// what its newest snapshot, and changes since, do not name is to go from this kernel; a dump
    /// from now on finds what else does.
    void taken(std::size_t node, const std::vector<IpAddress>& vips);

    // Leadership.
    void lead(std::size_t group, bool leads);
    [[nodiscard]] bool leads(std::size_t group) const { return leads_.at(group); }
    /// Flows of others through the addresses of this group, and lost ones of this node.
    [[nodiscard]] std::vector<FlowId> foreign(std::size_t group) const;
    /// Their clients have been reset, as far as they can be: they are forgotten.
    void drop_foreign(std::size_t group);

    // What this host's kernel is to have: replicas.
    /// The first of what is to be done, in order; each once.
    [[nodiscard]] std::vector<KernelWork> take_kernel_work(std::size_t most);
    [[nodiscard]] std::size_t kernel_work() const { return work_.size(); }
    /// The kernel refused: a client whose flow this was is to be reset at a takeover. With `again`
    /// (its table was full) another node's flow waits for retry_refused().
    void not_installed(const FlowId& id, bool again = false);
    /// Of those that wait, the first `most` are to be told to the kernel once more.
    void retry_refused(std::size_t most);
    [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
    /// All that others own is to be told to the kernel again: its time-outs run.
    void refresh_replicas();

    // What peers are to know.
    [[nodiscard]] FlowChanges take_changes();
    /// How many changes wait, at most.
    [[nodiscard]] std::size_t pending() const { return dirty_.size() + removed_.size(); }
    /// All own flows, for a snapshot. Their later changes will be among take_changes().
    [[nodiscard]] std::vector<FlowId> own();
    /// An own flow as it is now.
    [[nodiscard]] std::optional<Flow> own(const FlowId& id) const;
    /// Each own flow; the table must not change meanwhile.
    void visit_own(const std::function<void(const Flow&)>& visit) const;

    /// How many flows a node has; lost ones are not among them.
    [[nodiscard]] std::size_t count(std::size_t node) const { return counts_.at(node); }
    /// Flows of others that this host's kernel has. Looks at every flow.
    [[nodiscard]] std::size_t installed() const;
    /// How many flows go through each backend, own and others'. Looks at every flow.
    [[nodiscard]] std::map<Endpoint, std::size_t> by_backend() const;
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    /// Flows that did not fit.
    [[nodiscard]] std::uint64_t refused() const { return refused_; }
    /// Foreign flows through a led address whose clients came forward here.
    [[nodiscard]] std::uint64_t answered() const { return answered_; }

  private:
    /// 24 bytes: the address is a number.
    struct Key {
        std::array<std::uint8_t, 16> client{};
        std::uint16_t client_port = 0;
        std::uint16_t vip_port = 0;
        std::uint16_t vip = 0;

        friend bool operator==(const Key&, const Key&) = default;
    };
    struct Hash {
        std::uint64_t seed = 0;
        std::size_t operator()(const Key& key) const noexcept;
    };
    struct Entry {
        std::uint32_t round = 0;  ///< the owner's newest dump or snapshot that named it
        std::uint8_t owner = 0;
        TcpState state = TcpState::none;
        bool dirty : 1 = false;      ///< stands in dirty_
        bool told : 1 = false;       ///< peers may know of it
        bool over : 1 = false;       ///< another node took over and reset its client
        bool lost : 1 = false;       ///< an own one that ended in silence
        bool queued : 1 = false;     ///< stands in work_
        bool installed : 1 = false;  ///< this kernel has it
        bool waits : 1 = false;      ///< it would not take it: stands in waiting_
        std::unique_ptr<Translation> translation{};
    };
    struct Vip {
        IpAddress address;
        std::size_t group = 0;
    };
    using Entries = std::unordered_map<Key, Entry, Hash>;

    [[nodiscard]] std::optional<Key> key_of(const FlowId& id) const;
    [[nodiscard]] FlowId id_of(const Key& key) const;
    [[nodiscard]] Flow flow_of(const Key& key, const Entry& entry) const;
    [[nodiscard]] bool leads_vip(const Key& key) const { return leads_[vips_[key.vip].group]; }
    Entry* put(const Key& key, std::size_t owner);
    static bool set(Entry& entry, const Flow& flow);
    void adopt(Entry& entry, std::size_t owner);
    void wait_no_more(const Key& key, Entry& entry);
    void queue(const Key& key, Entry& entry);
    bool add_replica(std::size_t node, const Key& key, const Flow& flow);
    void look_at_replica(const Key& key, const Flow& flow);
    void taken_replicas(std::size_t node, const std::vector<IpAddress>& vips);
    void touch(const Key& key, Entry& entry);
    void drop(Entries::iterator found);
    void lose_or_drop(Entries::iterator found);
    [[nodiscard]] bool is_foreign(const Key& key, const Entry& entry, std::size_t group) const;
    void release(const Key& key, Entry& entry);
    void sweep(std::size_t node);

    std::vector<Vip> vips_;
    std::vector<bool> leads_;
    std::vector<bool> settled_;  // by group: its leader has named all its flows
    std::size_t limit_;
    bool replicas_;
    std::size_t former_;  // the owner of what this node owned when it led
    Entries entries_;
    std::vector<std::size_t> counts_;
    std::vector<std::uint32_t> rounds_;
    std::vector<Key> dirty_;
    std::vector<Key> removed_;
    std::deque<Key> work_;
    std::unordered_set<Key, Hash> waiting_;
    bool dumping_ = false;
    std::unordered_set<Key, Hash> gone_in_dump_;
    std::uint64_t refused_ = 0;
    std::uint64_t answered_ = 0;
};

}  // namespace hamr::router
