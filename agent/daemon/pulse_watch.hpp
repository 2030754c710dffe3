// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include <sched.h>

// Frees the pulse loop from a processor that does not let go.
//
// Real-time priority is of no use while the processor on which a thread waits is deep in the
// kernel: loading somebody's 20,000 nftables rules takes 200 ms of one, without a break on kernels
// that do not preempt themselves. Linux moves a waiting real-time thread away from another
// real-time thread, but not from that. So a second thread of the same priority, on another
// processor, looks after the first one: when its alarm is overdue, the two change places.
//
// Contract: start() on the thread that is to be watched; from then on that thread is bound to one
// processor at a time. expect() tells when it should be heard of next; it costs one store. Both
// processors may be stuck at once: then nothing helps.
//
// Threading: expect(), release() and the destructor on the watched thread. The watching thread
// shares nothing with it but atomic values.

namespace hamr::daemon {

class PulseWatch {
  public:
    /// Null, and nothing is changed, where it is of no use: one processor, no real-time priority.
    [[nodiscard]] static std::unique_ptr<PulseWatch> start(Duration interval);

    /// The watched thread will run at this time, or else wants to be moved; `never`: no alarm.
    void expect(BootTime at) { expected_.store(at.time_since_epoch().count()); }

    /// Ends the watch, and gives the thread back the processors that it had.
    void release();

    /// How often the thread was moved.
    [[nodiscard]] std::uint64_t moves() const { return moves_.load(); }

    ~PulseWatch() { release(); }
    PulseWatch(const PulseWatch&) = delete;
    PulseWatch& operator=(const PulseWatch&) = delete;

  private:
    PulseWatch() = default;
    void run();
    void change_places();

    pid_t watched_ = 0;
    cpu_set_t before_{};
    int here_ = 0;   ///< the watching thread's processor
    int there_ = 0;  ///< the watched one's
    Duration period_{};
    std::atomic<std::int64_t> expected_{never.time_since_epoch().count()};
    std::atomic<std::uint64_t> moves_{0};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace hamr::daemon
