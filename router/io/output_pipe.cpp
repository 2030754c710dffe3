// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/output_pipe.hpp"

#include "base/clock.hpp"
#include "router/exit_words.hpp"
#include "router/output_lines.hpp"

#include <array>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hamr::router_io {

namespace asio = boost::asio;

namespace {

constexpr std::size_t bytes_per_second = 1 << 20;
constexpr std::size_t pipe_size = 1 << 20;

/// Opens the pipe at `path`; what is not a pipe of this user's is refused.
Result<UniqueFd> open_pipe(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return fail_errno("open " + path, errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return fail_errno("look at " + path, errno);
    if (!S_ISFIFO(info.st_mode) || info.st_uid != ::geteuid()) {
        return fail(path + " is not the agent's pipe: remove it");
    }
    return fd;
}

}  // namespace

class OutputPipe::Impl : public std::enable_shared_from_this<OutputPipe::Impl> {
  public:
    Impl(asio::any_io_executor executor, std::string path, OnLine on_line)
        : path_(std::move(path)),
          on_line_(std::move(on_line)),
          descriptor_(executor),
          timer_(executor) {}

    Result<> open() {
        if (::mkfifo(path_.c_str(), 0600) != 0 && errno != EEXIST) {
            return fail_errno("make the pipe " + path_, errno);
        }
        auto fd = open_pipe(path_);
        if (!fd) return tl::unexpected(fd.error());
        // For as long as no agent reads. Where it is not granted, 64 KiB must do.
        ::fcntl(fd->get(), F_SETPIPE_SZ, static_cast<int>(pipe_size));
        boost::system::error_code error;
        descriptor_.assign(fd->get(), error);
        if (error) return fail("watch " + path_ + ": " + error.message());
        (void)fd->release();
        wait();
        return {};
    }

    [[nodiscard]] Result<UniqueFd> writer() const { return open_pipe(path_); }

    void forget() { lines_.forget(); }

    void drain() {
        if (!descriptor_.is_open()) return;
        for (std::size_t total = 0; total < bytes_per_second;) {
            const std::size_t n = read_some();
            if (n == 0) break;
            total += n;
        }
        tell(lines_.end(BootClock::now()));
    }

    [[nodiscard]] std::string telling(bool brief) const {
        const std::deque<std::string> said = lines_.newest();
        if (brief) return router::telling_line(said);
        if (BootClock::now() - said_at_ > router::OutputLines::second) return "";
        return said.empty() ? "" : said.back();
    }

    void stop() {
        on_line_ = nullptr;
        boost::system::error_code ignored;
        descriptor_.close(ignored);
        timer_.cancel();
    }

  private:
    void wait() {
        descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                               [self = shared_from_this()](boost::system::error_code error) {
                                   if (!error && self->on_line_) self->ready();
                               });
    }

    /// One piece at a time, so that a flood leaves room for other work of the loop.
    void ready() {
        const BootTime now = BootClock::now();
        if (now - second_ >= router::OutputLines::second) {
            second_ = now;
            read_in_second_ = 0;
        }
        (void)read_some();
        if (!descriptor_.is_open()) return;
        const bool resting = read_in_second_ >= bytes_per_second;
        if (!resting) wait();
        if (resting || lines_.next() != never) pause(resting);
    }

    void pause(bool resting) {
        timer_.expires_after(router::OutputLines::second);
        timer_.async_wait([self = shared_from_this(), resting](boost::system::error_code error) {
            // A newer pause has put this one off: a rest must end all the same.
            if (!self->on_line_ || (error && !resting)) return;
            self->tell(self->lines_.tick(BootClock::now()));
            if (resting && self->descriptor_.is_open()) self->wait();
        });
    }

    std::size_t read_some() {
        ssize_t n = 0;
        do {
            n = ::read(descriptor_.native_handle(), buffer_.data(), buffer_.size());
        } while (n < 0 && errno == EINTR);
        if (n <= 0) return 0;
        const auto size = static_cast<std::size_t>(n);
        read_in_second_ += size;
        said_at_ = BootClock::now();
        tell(lines_.feed(std::string_view(buffer_.data(), size), said_at_));
        return size;
    }

    void tell(const std::vector<std::string>& lines) {
        for (const std::string& line : lines) {
            if (on_line_) on_line_(line);
        }
    }

    std::string path_;
    OnLine on_line_;
    asio::posix::stream_descriptor descriptor_;
    asio::steady_timer timer_;
    std::array<char, 16 * 1024> buffer_{};
    router::OutputLines lines_;
    BootTime said_at_ = long_ago;
    BootTime second_ = long_ago;
    std::size_t read_in_second_ = 0;
};

OutputPipe::OutputPipe(asio::any_io_executor executor, std::string path, OnLine on_line)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(path), std::move(on_line))) {}

OutputPipe::~OutputPipe() {
    impl_->stop();
}

Result<> OutputPipe::open() {
    return impl_->open();
}

Result<UniqueFd> OutputPipe::writer() const {
    return impl_->writer();
}

void OutputPipe::forget() {
    impl_->forget();
}

void OutputPipe::drain() {
    impl_->drain();
}

std::string OutputPipe::telling(bool brief) const {
    return impl_->telling(brief);
}

void OutputPipe::remove(const std::string& path) {
    ::unlink(path.c_str());
}

}  // namespace hamr::router_io
