// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include <ucontext.h>

// Lets libmariadb wait without blocking the thread where its non-blocking calls block all the same:
// in the TLS handshake, which polls the socket (up to its time-out, whole seconds).
//
// How       The call runs on a stack of its own. When the library wants to poll it asks our
//           io_wait() (MARIADB_OPT_IO_WAIT) instead, which leaves that stack as it is and returns
//           to the caller of run(); go_on() continues behind the poll.
// Contract  One call at a time, from its run() to its end: a call that waits must be continued
//           until it is over, go_on(false) makes it give up.
// Outside   of a side stack io_wait() says "not ready in time", so that nothing blocks ever.
// Threading Everything on one thread.

namespace hamr::mysql {

class SideStack {
  public:
    using Call = std::function<int()>;

    SideStack();
    SideStack(const SideStack&) = delete;
    SideStack& operator=(const SideStack&) = delete;
    ~SideStack();

    /// What `call` returned, or nothing when it waits.
    [[nodiscard]] std::optional<int> run(Call call);
    /// As run(), for a call that waits; `ready` false means that the time is up.
    [[nodiscard]] std::optional<int> go_on(bool ready);

    [[nodiscard]] bool waiting() const { return waiting_; }
    /// What it waits for: something to read, else room to write.
    [[nodiscard]] bool for_reading() const { return for_reading_; }

    /// To be given to libmariadb.
    static int io_wait(int handle, char is_read, int timeout);

  private:
    static void main();
    std::optional<int> enter();

    std::unique_ptr<std::byte[]> stack_;
    ucontext_t loop_{};
    ucontext_t side_{};
    Call call_;
    int result_ = 0;
    bool waiting_ = false;
    bool for_reading_ = false;
    bool ready_ = false;
};

}  // namespace hamr::mysql
