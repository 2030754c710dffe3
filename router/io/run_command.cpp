// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/run_command.hpp"

#include "base/process/process.hpp"
#include "router/exit_words.hpp"
#include "router/output_lines.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <deque>
#include <memory>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <unistd.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;
using ErrorCode = boost::system::error_code;

namespace {

std::string telling_part(const std::string& output) {
    std::deque<std::string> lines;
    std::size_t from = 0;
    while (from < output.size()) {
        std::size_t end = output.find('\n', from);
        if (end == std::string::npos) end = output.size();
        const std::string line = router::printable(output.substr(from, end - from));
        if (!line.empty()) lines.push_back(line);
        from = end + 1;
    }
    return router::telling_line(lines);
}

class Command : public std::enable_shared_from_this<Command> {
  public:
    using Done = std::function<void(Result<std::string>)>;

    Command(const asio::any_io_executor& executor, Done done)
        : done_(std::move(done)), ended_(executor), output_(executor), timer_(executor) {}

    void start(const std::vector<std::string>& argv, const std::string& user, Duration timeout) {
        name_ = argv.empty() ? "" : argv.front();
        timeout_ = timeout;
        process::SpawnSpec spec;
        spec.argv = argv;
        if (!user.empty()) {
            auto account = process::find_account(user);
            if (!account) return finish(tl::unexpected(account.error()));
            spec.account = std::move(*account);
        }
        std::array<int, 2> ends{-1, -1};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return finish(fail_errno("pipe", errno));
        UniqueFd reading(ends[0]);
        const UniqueFd writing(ends[1]);
        spec.output = writing.get();
        auto spawned = process::spawn(spec);
        if (!spawned) return finish(tl::unexpected(spawned.error()));
        pid_ = spawned->pid;
        ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);
        ErrorCode failed;
        output_.assign(reading.get(), failed);
        if (!failed) (void)reading.release();
        ended_.assign(spawned->pidfd.get(), failed);
        if (failed) {
            ::kill(-pid_, SIGKILL);
            (void)process::reap(spawned->pidfd.get());
            return finish(fail("watch " + name_ + ": " + failed.message()));
        }
        (void)spawned->pidfd.release();
        watch();
    }

  private:
    void watch() {
        wait_output();
        await_end();
        timer_.expires_after(timeout_);
        timer_.async_wait([self = shared_from_this()](ErrorCode failed) {
            if (failed || !self->done_) return;
            self->killed_ = true;
            ::kill(-self->pid_, SIGKILL);
        });
    }

    void await_end() {
        ended_.async_wait(Descriptor::wait_read, [self = shared_from_this()](ErrorCode failed) {
            if (failed) return;
            if (process::has_ended(self->ended_.native_handle())) return self->reaped();
            self->await_end();
        });
    }

    void wait_output() {
        output_.async_wait(Descriptor::wait_read, [self = shared_from_this()](ErrorCode failed) {
            if (!failed && self->done_ && self->read_some()) self->wait_output();
        });
    }

    /// False at its end.
    bool read_some() {
        std::array<char, 4096> piece;
        const ssize_t n = ::read(output_.native_handle(), piece.data(), piece.size());
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        const std::size_t room = max_command_output - said_.size();
        said_.append(piece.data(), std::min(room, static_cast<std::size_t>(n)));
        return n > 0;
    }

    void reaped() {
        const process::ProcessEnd end = process::reap(ended_.native_handle());
        // What it left in the background may hold the pipe: what is there now is all there is.
        for (int i = 0; i < 16; ++i) {
            const std::size_t before = said_.size();
            if (!read_some() || said_.size() == before) break;
        }
        if (killed_) {
            return finish(fail(name_ + " did not end within " + router::in_words(timeout_)));
        }
        if (end.code == 0) return finish(std::move(said_));
        const std::string words = telling_part(said_);
        finish(fail(name_ + " " + end.how + (words.empty() ? "" : ": " + words)));
    }

    void finish(Result<std::string> result) {
        timer_.cancel();
        ErrorCode ignored;
        ended_.close(ignored);
        output_.close(ignored);
        asio::post(timer_.get_executor(),
                   [done = std::exchange(done_, nullptr), result = std::move(result)]() mutable {
                       if (done) done(std::move(result));
                   });
    }

    Done done_;
    std::string name_;
    std::string said_;
    pid_t pid_ = -1;
    bool killed_ = false;
    Duration timeout_{};
    Descriptor ended_;
    Descriptor output_;
    asio::steady_timer timer_;
};

}  // namespace

void run_command(asio::any_io_executor executor, const std::vector<std::string>& argv,
                 const std::string& user, Duration timeout,
                 std::function<void(Result<std::string>)> done) {
    std::make_shared<Command>(executor, std::move(done))->start(argv, user, timeout);
}

}  // namespace hamr::router_io
