// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/types.hpp"

#include <array>
#include <optional>

namespace hamr::election {

/// When this node sent its last 512 frames and what promise they asked for. A lease counts from the
/// *sending* of the acknowledged frame (docs/protocol.md, M rules); what is older than the ring
/// renews nothing.
class SentRing {
  public:
    struct Sent {
        BootTime at;
        Duration lease{};

        template <class Archive>
        void archive(Archive& kept) {
            kept(at, lease);
        }
    };

    void record(Sequence sequence, Sent sent) {
        slots_[sequence.value % slots_.size()] = {sequence, sent};
    }

    [[nodiscard]] std::optional<Sent> find(Sequence sequence) const {
        const Slot& slot = slots_[sequence.value % slots_.size()];
        if (sequence.value == 0 || slot.sequence != sequence) return std::nullopt;
        return slot.sent;
    }

    template <class Archive>
    void archive(Archive& kept) {
        kept(slots_);
    }

  private:
    struct Slot {
        Sequence sequence;
        Sent sent;

        template <class Archive>
        void archive(Archive& kept) {
            kept(sequence, sent);
        }
    };
    std::array<Slot, 512> slots_{};
};

}  // namespace hamr::election
