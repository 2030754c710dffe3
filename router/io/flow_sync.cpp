// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_sync.hpp"

#include <utility>

namespace hamr::router_io {

class FlowSync::Impl {
  public:
    Impl(FlowSyncConfig config, Events events)
        : config_(std::move(config)), events_(std::move(events)) {}

    FlowSyncConfig config_;
    Events events_;
};

FlowSync::FlowSync(boost::asio::any_io_executor, FlowSyncConfig config, Events events)
    : impl_(std::make_shared<Impl>(std::move(config), std::move(events))) {}

FlowSync::~FlowSync() = default;

Result<> FlowSync::start() {
    return {};
}

void FlowSync::lead(std::size_t, bool) {}

FlowSyncStatus FlowSync::status() const {
    return {};
}

void FlowSync::stop() {}

}  // namespace hamr::router_io
