// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_stream_link.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace hamr::router_io {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr auto look = std::chrono::milliseconds(500);
constexpr std::size_t bytes_at_once = std::size_t{64} * 1024;
constexpr std::size_t most_sealed = router::max_flow_message_bytes + flow_seal_bytes;

}  // namespace

FlowLink::FlowLink(asio::ip::tcp::socket socket, FlowCipher cipher, Duration silence, Events events)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      cipher_(std::move(cipher)),
      silence_(silence),
      events_(std::move(events)) {}

void FlowLink::start() {
    heard_at_ = BootClock::now();
    const auto& header = cipher_.header();
    out_.assign(header.begin(), header.end());
    write();
    read_header();
    watch();
}

void FlowLink::send(FlowBytes message) {
    if (closed_) return;
    queued_ += message->size();
    queue_.push_back(std::move(message));
    if (!writing_) write();
}

void FlowLink::close() {
    closed_ = true;
    queue_.clear();
    queued_ = 0;
    timer_.cancel();
    error_code ignored;
    socket_.close(ignored);
}

void FlowLink::end(const std::string& why, bool malformed) {
    if (closed_) return;
    close();
    events_.ended(why, malformed);
}

bool FlowLink::failed(const error_code& error) {
    if (closed_) return true;
    if (!error) return false;
    end(error == asio::error::eof ? "the peer ended the connection" : error.message());
    return true;
}

void FlowLink::write() {
    while (!queue_.empty() && out_.size() < bytes_at_once) {
        const FlowBytes message = std::move(queue_.front());
        queue_.pop_front();
        queued_ -= message->size();
        const std::size_t sealed = message->size() + flow_seal_bytes;
        out_.push_back(static_cast<std::byte>(sealed >> 8));
        out_.push_back(static_cast<std::byte>(sealed & 0xff));
        cipher_.seal(*message, out_);
    }
    if (out_.empty()) return;
    writing_ = true;
    asio::async_write(socket_, asio::buffer(out_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                          self->writing_ = false;
                          if (self->failed(error)) return;
                          self->out_.clear();
                          if (self->queued_ < bytes_at_once) self->events_.drained();
                          if (!self->closed_ && !self->writing_) self->write();
                      });
}

void FlowLink::read_header() {
    asio::async_read(socket_, asio::buffer(header_),
                     [self = shared_from_this()](error_code error, std::size_t) {
                         if (self->failed(error)) return;
                         if (!self->cipher_.begin(self->header_)) {
                             return self->end("a stream that begins wrongly", true);
                         }
                         self->read_length();
                     });
}

void FlowLink::read_length() {
    asio::async_read(socket_, asio::buffer(length_),
                     [self = shared_from_this()](error_code error, std::size_t) {
                         if (self->failed(error)) return;
                         const std::size_t size = ByteReader(self->length_).read<std::uint16_t>();
                         if (size < flow_seal_bytes || size > most_sealed) {
                             return self->end("a message of a forbidden size", true);
                         }
                         self->read_message(size);
                     });
}

void FlowLink::read_message(std::size_t size) {
    in_.resize(std::max(in_.size(), size));
    asio::async_read(socket_, asio::buffer(in_.data(), size),
                     [self = shared_from_this(), size](error_code error, std::size_t) {
                         if (!self->failed(error)) self->take(size);
                     });
}

void FlowLink::take(std::size_t size) {
    heard_at_ = BootClock::now();
    const auto plain = cipher_.open(Bytes(in_).first(size));
    if (!plain) return end("a message that the peer did not make", true);
    const auto message = router::decode_flow_message(*plain);
    if (!message) return end("a message that is none", true);
    const bool fits = events_.heard(*message);
    if (closed_) return;
    if (!fits) return end("a message out of place", true);
    read_length();
}

void FlowLink::watch() {
    timer_.expires_after(look);
    timer_.async_wait([self = shared_from_this()](error_code error) {
        if (error || self->closed_) return;
        if (BootClock::now() - self->heard_at_ > self->silence_) {
            const auto seconds = std::chrono::round<std::chrono::seconds>(self->silence_);
            return self->end("nothing was heard for " + std::to_string(seconds.count()) + " s");
        }
        self->watch();
    });
}

}  // namespace hamr::router_io
