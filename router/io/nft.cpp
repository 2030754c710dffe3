// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/nft.hpp"

#include "base/process/process.hpp"
#include "base/unique_fd.hpp"
#include "router/ruleset.hpp"

#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace hamr::router_io {

namespace asio = boost::asio;

namespace {

Result<UniqueFd> memory_file(const char* name, const std::string& text) {
    UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
    if (!fd) return fail_errno("memfd_create", errno);
    std::size_t written = 0;
    while (written < text.size()) {
        const ssize_t n = ::write(fd.get(), text.data() + written, text.size() - written);
        if (n < 0) return fail_errno("write the ruleset into memory", errno);
        written += static_cast<std::size_t>(n);
    }
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

/// A child `nft -f -`. Whoever owns it must reap it; the destructor kills what still runs.
class Child {
  public:
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    Child(Child&&) noexcept = default;
    Child& operator=(Child&&) noexcept = default;
    ~Child() {
        if (!pidfd_) return;
        kill();
        (void)process::reap(pidfd_.get());
    }

    static Result<Child> start(const std::string& text, const std::string& program);

    [[nodiscard]] int pidfd() const { return pidfd_.get(); }
    void kill() const { process::send_signal(pidfd_.get(), SIGKILL); }
    /// Waits for the end, which the caller knows to have come or to be near.
    Result<> reap(bool killed);

  private:
    Child() = default;
    std::string words() const;

    UniqueFd pidfd_;
    UniqueFd output_;
};

/// nft's own words, with a code for the causes that a caller treats differently.
Error explain(int exit_code, const std::string& said) {
    const auto has = [&](const char* part) { return said.find(part) != std::string::npos; };
    if (has("Operation not permitted")) {
        return {"nft needs CAP_NET_ADMIN",
                std::make_error_code(std::errc::operation_not_permitted)};
    }
    if (has("cache initialization failed")) {
        return {"this kernel lacks nftables (CONFIG_NF_TABLES): " + said,
                std::make_error_code(std::errc::not_supported)};
    }
    return {"nft failed with exit code " + std::to_string(exit_code) +
                (said.empty() ? "" : ": " + said),
            {}};
}

Result<Child> Child::start(const std::string& text, const std::string& program) {
    auto input = memory_file("hamr-ruleset", text);
    if (!input) return tl::unexpected<Error>(input.error());
    auto output = memory_file("hamr-nft-output", "");
    if (!output) return tl::unexpected<Error>(output.error());

    const auto found = process::find_program(program);
    if (!found || ::access(found->c_str(), F_OK) != 0) {
        return fail(program + " is not installed: install the package nftables");
    }
    process::SpawnSpec spec;
    spec.argv = {*found, "-f", "-"};
    spec.input = input->get();
    spec.output = output->get();
    spec.environment = process::Environment::plain;
    auto spawned = process::spawn(spec);
    if (!spawned) return tl::unexpected(spawned.error());
    Child child;
    child.output_ = std::move(*output);
    child.pidfd_ = std::move(spawned->pidfd);
    return child;
}

std::string Child::words() const {
    std::string text(4096, '\0');
    const ssize_t n = ::pread(output_.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

Result<> Child::reap(bool killed) {
    const process::ProcessEnd end = process::reap(pidfd_.get());
    pidfd_.reset();
    if (killed) return fail("nft did not end in time and was killed");
    if (end.signal != 0) return fail("nft died of signal " + std::to_string(end.signal));
    if (end.code < 0) return fail("nft " + end.how);
    if (end.code == 0) return {};
    return tl::unexpected<Error>(explain(end.code, words()));
}

}  // namespace

class Nft::Impl : public std::enable_shared_from_this<Nft::Impl> {
  public:
    Impl(asio::any_io_executor executor, NftOptions options)
        : options_(std::move(options)), ended_(executor), timer_(executor) {}

    void apply(std::string text, Done done) {
        waiting_text_ = std::move(text);
        waiting_.push_back(std::move(done));
        if (running_.empty()) start();
    }

    void stop() {
        stopped_ = true;
        waiting_.clear();
        running_.clear();
        timer_.cancel();
        close();
        child_.reset();
    }

    [[nodiscard]] bool busy() const { return !running_.empty() || !waiting_.empty(); }

  private:
    void start() {
        running_ = std::exchange(waiting_, {});
        killed_ = false;
        auto child = Child::start(waiting_text_, options_.program);
        waiting_text_.clear();
        if (!child) return finish(tl::unexpected<Error>(child.error()));
        child_.emplace(std::move(*child));
        boost::system::error_code error;
        const int copy = ::fcntl(child_->pidfd(), F_DUPFD_CLOEXEC, 0);
        ended_.assign(copy, error);
        if (error) {
            if (copy >= 0) ::close(copy);
            child_.reset();
            return finish(fail("watch nft: " + error.message()));
        }
        await_end();
        timer_.expires_after(options_.timeout);
        timer_.async_wait([self = shared_from_this()](boost::system::error_code failed) {
            if (failed || self->stopped_ || !self->child_) return;
            self->killed_ = true;
            self->child_->kill();
        });
    }

    void await_end() {
        ended_.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](boost::system::error_code failed) {
                              if (failed || self->stopped_) return;
                              if (process::has_ended(self->child_->pidfd())) return self->reap();
                              self->await_end();
                          });
    }

    void reap() {
        timer_.cancel();
        close();
        const Result<> result = child_->reap(killed_);
        child_.reset();
        finish(result);
    }

    /// Posted, so that no callback runs inside apply().
    void finish(Result<> result) {
        asio::post(timer_.get_executor(), [self = shared_from_this(), result = std::move(result)] {
            if (self->stopped_) return;
            const auto done = std::exchange(self->running_, {});
            if (!self->waiting_.empty()) self->start();
            for (const Done& call : done) call(result);
        });
    }

    void close() {
        boost::system::error_code ignored;
        ended_.close(ignored);
    }

    NftOptions options_;
    std::string waiting_text_;
    std::vector<Done> waiting_;
    std::vector<Done> running_;
    std::optional<Child> child_;
    bool killed_ = false;
    bool stopped_ = false;
    asio::posix::stream_descriptor ended_;
    asio::steady_timer timer_;
};

Nft::Nft(asio::any_io_executor executor, NftOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}

Nft::~Nft() {
    impl_->stop();
}

void Nft::apply(std::string text, Done done) {
    impl_->apply(std::move(text), std::move(done));
}

void Nft::remove(Done done) {
    impl_->apply(router::render_removal(), std::move(done));
}

bool Nft::busy() const {
    return impl_->busy();
}

Result<> apply_blocking(const std::string& text, const NftOptions& options) {
    auto child = Child::start(text, options.program);
    if (!child) return tl::unexpected<Error>(child.error());
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(options.timeout);
    pollfd end{child->pidfd(), POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&end, 1, static_cast<int>(limit.count()));
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) child->kill();
    return child->reap(ready <= 0);
}

Result<> remove_blocking(const NftOptions& options) {
    return apply_blocking(router::render_removal(), options);
}

}  // namespace hamr::router_io
