// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

// The output of a router that outlives the agent: a named pipe.
//
// The router   holds it open for reading too, and non-blocking: without an agent nothing breaks
//              (SIGPIPE) and nothing blocks; what does not fit (1 MiB) is lost.
// The agent    opens it by name, in its next life as well, and hears what is still in it.
// Limits       1 MiB is read in a second; then it rests, and a flood costs the router its output,
//              not the host a core. Lines: router/output_lines.hpp.

namespace hamr::router_io {

class OutputPipe {
  public:
    using OnLine = std::function<void(std::string_view line)>;

    OutputPipe(boost::asio::any_io_executor executor, std::string path, OnLine on_line);
    OutputPipe(const OutputPipe&) = delete;
    OutputPipe& operator=(const OutputPipe&) = delete;
    ~OutputPipe();

    /// Makes the pipe if it is not there, and reads from now on. Something else of that name is an
    /// error.
    Result<> open();
    /// An end for a new instance.
    [[nodiscard]] Result<UniqueFd> writer() const;
    /// A new instance begins: what the last one said no longer explains anything.
    void forget();
    /// The writer ended: reads what is left.
    void drain();
    /// Of what was said since forget(): the line that explains an end that comes just now. `brief`:
    /// all of it may be about the end; else only a last line of this second can.
    [[nodiscard]] std::string telling(bool brief) const;

    static void remove(const std::string& path);

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
