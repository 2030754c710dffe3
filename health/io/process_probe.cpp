// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/process_probe.hpp"

#include "base/unique_fd.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include <boost/asio/post.hpp>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hamr::health_io {

namespace asio = boost::asio;

namespace {

/// TASK_COMM_LEN without its zero.
constexpr std::size_t name_bytes = 15;
constexpr int entries_a_turn = 300;

/// The beginning of a file; nothing when it cannot be read, errno says why.
std::optional<std::string> read_start(const std::string& path) {
    // Without O_NONBLOCK a fifo in the place of a pid file would stop everything.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) return std::nullopt;
    std::array<char, 256> buffer{};
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) return std::nullopt;
    return std::string(buffer.data(), static_cast<std::size_t>(count));
}

/// The name of a process that runs; nothing for one that does not exist or is a zombie.
std::optional<std::string> name_of(int pid) {
    // "123 (name) S ...": the name may hold blanks and parentheses itself.
    const auto stat = read_start("/proc/" + std::to_string(pid) + "/stat");
    if (!stat) return std::nullopt;
    const auto from = stat->find('(');
    const auto to = stat->rfind(')');
    if (from == std::string::npos || to == std::string::npos || to + 2 >= stat->size()) {
        return std::nullopt;
    }
    const char state = (*stat)[to + 2];
    if (state == 'Z' || state == 'X') return std::nullopt;
    return stat->substr(from + 1, to - from - 1);
}

std::optional<int> number(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = end == text.data() + text.size() || *end == '\n' || *end == ' ' ||
                       *end == '\r' || *end == '\0';
    if (error != std::errc{} || !whole || value <= 0) return std::nullopt;
    return value;
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

class ProcessSearch final : public Probe {
  public:
    ProcessSearch(asio::any_io_executor executor, health::ProcessProbe what)
        : Probe(std::move(executor)), what_(std::move(what)) {}

  protected:
    void begin() override {
        if (!what_.pid_file.empty()) return by_file();
        if (last_ > 0 && is_it(last_)) return found(last_);
        directory_.reset(::opendir("/proc"));
        if (!directory_) {
            return finish(false, std::string("cannot read /proc: ") + std::strerror(errno));
        }
        search();
    }

    void release() override { directory_.reset(); }

    [[nodiscard]] std::string overdue(const std::string& limit) const override {
        return "/proc could not be read within " + limit;
    }

  private:
    [[nodiscard]] bool is_it(int pid) const {
        const auto name = name_of(pid);
        return name && *name == what_.process.substr(0, name_bytes);
    }

    void found(int pid) {
        last_ = pid;
        finish(true, what_.process + " runs as process " + std::to_string(pid));
    }

    void search() {
        for (int i = 0; i < entries_a_turn; ++i) {
            const dirent* entry = ::readdir(directory_.get());
            if (entry == nullptr) {
                last_ = 0;
                return finish(false, "no process is called " + what_.process);
            }
            const auto pid = number(entry->d_name);
            if (pid && is_it(*pid)) return found(*pid);
        }
        asio::post(executor(), guarded([this] { search(); }));
    }

    void by_file() {
        const std::string& file = what_.pid_file;
        const auto text = read_start(file);
        if (!text) {
            const int error = errno;
            if (error == ENOENT) return finish(false, "there is no pid file " + file);
            return finish(false, "cannot read " + file + ": " + std::strerror(error));
        }
        const auto pid = number(*text);
        if (!pid) return finish(false, file + " holds no process id");
        const auto name = name_of(*pid);
        const std::string who = "process " + std::to_string(*pid) + " of " + file;
        if (!name) return finish(false, who + " does not run");
        const bool other = !what_.process.empty() && *name != what_.process.substr(0, name_bytes);
        if (other) return finish(false, who + " is " + *name + ", not " + what_.process);
        finish(true, who + " runs (" + *name + ")");
    }

    health::ProcessProbe what_;
    std::unique_ptr<DIR, CloseDirectory> directory_;
    int last_ = 0;
};

}  // namespace

std::shared_ptr<Probe> make_process_probe(asio::any_io_executor executor,
                                          health::ProcessProbe what) {
    return std::make_shared<ProcessSearch>(std::move(executor), std::move(what));
}

}  // namespace hamr::health_io
