// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/actions.hpp"
#include "election/frame.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

// Which frames of one peer to believe: boots, sequences, echoes (docs/protocol.md, rules A).
//
// A signature says who made a frame, not when. What proves that a frame is of now is that it echoes
// this node's present boot with a sequence that this node has sent: nobody could have recorded that
// earlier. From then on, rising sequences of the same boot suffice.

namespace hamr::election {

class PeerLink {
  public:
    struct Judgement {
        Verdict verdict = Verdict::used;
        DropReason reason = DropReason::replayed;  ///< with Verdict::dropped
        /// Of a new life of the peer: confirmed (used), or pending (greeted).
        bool new_boot = false;
    };

    /// Judges a frame and, when it counts, remembers it. `my_boot` and `my_newest` are what this
    /// node calls itself and the newest sequence that it has sent.
    Judgement judge(BootTime now, const Frame& frame, int path, NodeId self, BootId my_boot,
                    Sequence my_newest);

    /// Appends what this node has heard of the peer: the confirmed boot and the pending ones.
    void append_echoes(BootTime now, NodeId peer, HealthEpoch checked,
                       std::vector<Echo>& echoes) const;

    /// Confirmed at least once in this node's boot.
    [[nodiscard]] bool heard() const { return boot_.value != 0; }
    [[nodiscard]] BootId boot() const { return boot_; }
    /// When the newest used frame arrived; long_ago before the first.
    [[nodiscard]] BootTime last_heard() const { return last_heard_; }
    /// The newest of this node's frames that the peer has heard; 0 is none.
    [[nodiscard]] Sequence echoed() const { return echoed_; }
    /// By its newest used frame, the peer has confirmed this node's present boot: what it says of
    /// this node is not said of an earlier life.
    [[nodiscard]] bool knows_me() const { return knows_me_; }

    /// The peer has been added in the middle of this life: whatever proves that it lives now echoes
    /// a frame sent after `newest`. What it was in an earlier list may have been recorded.
    void heard_only_after(Sequence newest) { echoed_ = Sequence{newest.value + 1}; }

    /// A greeting of an unconfirmed boot deserves an answer: once in a `gap`, and a boot that has
    /// just become pending also besides, but not without end (recordings must not make this node
    /// shout at its peer).
    [[nodiscard]] bool may_greet(BootTime now, Duration gap, bool fresh);

    template <class Archive>
    void archive(Archive& kept) {
        kept(boot_, newest_, echoed_, knows_me_, last_heard_, last_greeted_, greeted_besides_,
             paths_, any_path_, pending_, retired_);
    }

  private:
    static constexpr std::size_t max_pending = 2;
    static constexpr std::size_t max_retired = 8;
    static constexpr int max_besides = 8;

    /// The last 64 sequences of one path: the top one and a bit for each below.
    struct Window {
        std::uint64_t top = 0;
        std::uint64_t bits = 0;

        /// False when seen before or too old to tell.
        bool insert(std::uint64_t sequence);
        [[nodiscard]] bool contains(std::uint64_t sequence) const;

        template <class Archive>
        void archive(Archive& kept) {
            kept(top, bits);
        }
    };

    /// A former boot, and the newest frame of this node when it was retired.
    struct Retired {
        BootId boot;
        Sequence at;

        template <class Archive>
        void archive(Archive& kept) {
            kept(boot, at);
        }
    };

    struct Pending {
        BootId boot;
        Sequence newest;
        BootTime at;

        template <class Archive>
        void archive(Archive& kept) {
            kept(boot, newest, at);
        }
    };

    Judgement judge_confirmed(BootTime now, const Frame& frame, int path);
    Judgement greet(BootTime now, const Frame& frame);
    void adopt(BootTime now, const Frame& frame, int path, Sequence my_newest);

    BootId boot_;
    Sequence newest_;
    Sequence echoed_;
    bool knows_me_ = false;
    BootTime last_heard_ = long_ago;
    BootTime last_greeted_ = long_ago;
    int greeted_besides_ = 0;  ///< since then
    std::array<Window, max_paths> paths_{};
    Window any_path_;
    std::vector<Pending> pending_;
    std::vector<Retired> retired_;
};

}  // namespace hamr::election
