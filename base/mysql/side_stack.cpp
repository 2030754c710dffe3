// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/mysql/side_stack.hpp"

#include "base/assert.hpp"

#include <utility>

namespace hamr::mysql {

namespace {

/// The library does its own work on a stack of its own; this one only leads there.
constexpr std::size_t stack_bytes = 64 * 1024;

/// Whose stack the thread is on.
thread_local SideStack* current = nullptr;

}  // namespace

SideStack::SideStack() : stack_(std::make_unique<std::byte[]>(stack_bytes)) {}

SideStack::~SideStack() {
    HAMR_ASSERT(!waiting_);
}

std::optional<int> SideStack::run(Call call) {
    HAMR_ASSERT(!waiting_);
    call_ = std::move(call);
    HAMR_ASSERT(::getcontext(&side_) == 0);
    side_.uc_stack.ss_sp = stack_.get();
    side_.uc_stack.ss_size = stack_bytes;
    side_.uc_link = &loop_;
    ::makecontext(&side_, &SideStack::main, 0);
    return enter();
}

std::optional<int> SideStack::go_on(bool ready) {
    HAMR_ASSERT(waiting_);
    waiting_ = false;
    ready_ = ready;
    return enter();
}

std::optional<int> SideStack::enter() {
    SideStack* const outer = std::exchange(current, this);
    HAMR_ASSERT(::swapcontext(&loop_, &side_) == 0);
    current = outer;
    if (waiting_) return std::nullopt;
    call_ = nullptr;
    return result_;
}

void SideStack::main() {
    SideStack& self = *current;
    self.result_ = self.call_();
}

int SideStack::io_wait(int /*handle*/, char is_read, int /*timeout*/) {
    SideStack* const self = current;
    if (self == nullptr) return 0;
    self->waiting_ = true;
    self->for_reading_ = is_read != 0;
    HAMR_ASSERT(::swapcontext(&self->side_, &self->loop_) == 0);
    return self->ready_ ? 1 : 0;
}

}  // namespace hamr::mysql
