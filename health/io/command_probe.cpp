// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/command_probe.hpp"

#include "health/io/child.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <fcntl.h>
#include <unistd.h>

namespace hamr::health_io {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

namespace {

constexpr std::size_t kept_bytes = 4 * 1024;
constexpr std::size_t most_bytes = 1024 * 1024;

/// Waits for the end of a child that has been killed, so that it leaves no zombie. Owns itself.
class Burial : public std::enable_shared_from_this<Burial> {
  public:
    Burial(const asio::any_io_executor& executor, pid_t pid) : pidfd_(executor), pid_(pid) {}
    ~Burial() {
        if (pidfd_.is_open() && process::has_ended(pidfd_.native_handle())) {
            (void)process::reap(pidfd_.native_handle());
        }
    }
    Burial(const Burial&) = delete;
    Burial& operator=(const Burial&) = delete;

    void start(UniqueFd pidfd) {
        boost::system::error_code error;
        pidfd_.assign(pidfd.get(), error);
        if (error) return;  // the number of descriptors is used up: it stays a zombie of ours
        static_cast<void>(pidfd.release());
        await_end();
    }
    [[nodiscard]] pid_t pid() const { return pid_; }

  private:
    void await_end() {
        pidfd_.async_wait(Descriptor::wait_read,
                          [self = shared_from_this()](boost::system::error_code failed) {
                              if (failed) return;
                              const int fd = self->pidfd_.native_handle();
                              if (!process::has_ended(fd)) return self->await_end();
                              (void)process::reap(fd);
                              self->pidfd_.close();
                          });
    }

    Descriptor pidfd_;
    pid_t pid_;
};

std::string_view first_line(std::string_view text) {
    while (!text.empty() && (text.front() == '\n' || text.front() == '\r')) text.remove_prefix(1);
    text = text.substr(0, text.find('\n'));
    // Nagios plugins: figures follow the bar.
    return text.substr(0, text.find('|'));
}

std::string_view last_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    const auto start = text.rfind('\n');
    return start == std::string_view::npos ? text : text.substr(start + 1);
}

const char* nagios_word(int code) {
    switch (code) {
        case 0:
            return "ok";
        case 1:
            return "warning";
        case 2:
            return "critical";
        case 3:
            return "unknown";
        default:
            return nullptr;
    }
}

class CommandRun final : public Probe {
  public:
    CommandRun(asio::any_io_executor executor, health::CommandProbe what)
        : Probe(std::move(executor)),
          what_(std::move(what)),
          ended_(this->executor()),
          output_(this->executor()),
          errors_(this->executor()) {}
    ~CommandRun() override { end_child(); }

  protected:
    void begin() override {
        if (const auto last = burial_.lock()) {
            return finish(false, "the command before (process " + std::to_string(last->pid()) +
                                     ") was killed and has not ended yet");
        }
        if (!what_.user.empty() && !account_) {
            auto found = process::find_account(what_.user);
            if (!found) return finish(false, found.error().message());
            account_ = std::move(*found);
        }
        auto child = start_child(what_.argv, account_);
        if (!child) return finish(false, child.error().message());
        said_ = {};
        complained_ = {};
        bytes_ = 0;
        child_ = std::move(*child);
        const bool watched = take(ended_, child_->pidfd) && take(output_, child_->output) &&
                             take(errors_, child_->errors);
        if (!watched) return finish(false, "no descriptor left to watch the command with");
        await_end();
        listen(output_, said_);
        listen(errors_, complained_);
    }

    void release() override { end_child(); }

    [[nodiscard]] std::string overdue(const std::string& limit) const override {
        std::string text = name() + " did not end within " + limit + " and was killed";
        if (const auto words = best_words(); !words.empty()) text += ": " + std::string(words);
        return text;
    }

  private:
    /// Watches a copy, so that the child's own descriptors close with it.
    static bool take(Descriptor& descriptor, const UniqueFd& fd) {
        const int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
        if (copy < 0) return false;
        boost::system::error_code error;
        descriptor.assign(copy, error);
        if (error) ::close(copy);
        return !error;
    }

    [[nodiscard]] std::string name() const {
        return what_.argv.empty() ? "the command" : what_.argv.front();
    }

    void await_end() {
        ended_.async_wait(Descriptor::wait_read, guarded([this](boost::system::error_code error) {
                              if (error) return;
                              if (!process::has_ended(child_->pidfd.get())) return await_end();
                              has_ended();
                          }));
    }

    void listen(Descriptor& from, std::string& into) {
        from.async_wait(Descriptor::wait_read,
                        guarded([this, &from, &into](boost::system::error_code error) {
                            if (error || !drain(from, into)) return;
                            if (bytes_ > most_bytes) return flooded();
                            listen(from, into);
                        }));
    }

    /// Reads what is there, some of it at most; false at the end of the stream.
    bool drain(Descriptor& from, std::string& into) {
        std::array<char, 16 * 1024> piece{};
        const ssize_t got = ::read(from.native_handle(), piece.data(), piece.size());
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        if (got == 0) return false;
        const auto count = static_cast<std::size_t>(got);
        bytes_ += count;
        into.append(piece.data(), std::min(count, kept_bytes - into.size()));
        return true;
    }

    void flooded() { finish(false, name() + " wrote more than 1 MiB and was killed"); }

    [[nodiscard]] std::string_view best_words() const {
        const auto line = first_line(said_);
        return line.find_first_not_of(" \t\r") == line.npos ? last_line(complained_) : line;
    }

    void has_ended() {
        // What others of its group still hold back is of no interest; what is in the pipes is.
        drain(output_, said_);
        drain(errors_, complained_);
        child_->kill_group();
        const process::ProcessEnd end = process::reap(child_->pidfd.get());
        child_.reset();
        judge(end);
    }

    void judge(const process::ProcessEnd& end) {
        const std::string words(best_words());
        const std::string tail = words.empty() ? "" : ": " + words;
        if (end.code < 0) return finish(false, name() + " " + end.how + tail);
        if (end.code == 0) return finish(true, words.empty() ? name() + " exited with 0" : words);
        std::string says = "exit code " + std::to_string(end.code);
        if (const char* word = nagios_word(end.code)) says += std::string(" (") + word + ")";
        if (end.code == 1 && what_.warning_is_up) return finish(true, says + tail);
        finish(false, (words.empty() ? name() + ": " : "") + says + tail);
    }

    void end_child() {
        boost::system::error_code ignored;
        ended_.close(ignored);
        output_.close(ignored);
        errors_.close(ignored);
        if (!child_) return;
        child_->kill_group();
        if (process::has_ended(child_->pidfd.get())) {
            (void)process::reap(child_->pidfd.get());
        } else {
            const auto burial = std::make_shared<Burial>(executor(), child_->pid);
            burial->start(std::move(child_->pidfd));
            burial_ = burial;
        }
        child_.reset();
    }

    health::CommandProbe what_;
    std::optional<process::Account> account_;
    std::optional<Child> child_;
    std::weak_ptr<Burial> burial_;
    Descriptor ended_;
    Descriptor output_;
    Descriptor errors_;
    std::string said_;
    std::string complained_;
    std::size_t bytes_ = 0;
};

}  // namespace

std::shared_ptr<Probe> make_command_probe(asio::any_io_executor executor,
                                          health::CommandProbe what) {
    return std::make_shared<CommandRun>(std::move(executor), std::move(what));
}

}  // namespace hamr::health_io
