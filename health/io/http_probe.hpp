// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "health/io/probe.hpp"

// Whether a GET is answered with the status that is expected and, where asked for, a text in the
// body.
//
// One connection per question, closed after it. Limits: 64 KiB of header; the text is looked for in
// the first 64 KiB of the body, the rest is left unread. Redirections are not followed.

namespace hamr::health_io {

[[nodiscard]] std::shared_ptr<Probe> make_http_probe(boost::asio::any_io_executor executor,
                                                     health::HttpProbe what);

}  // namespace hamr::health_io
