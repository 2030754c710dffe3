// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/http_probe.hpp"

#include "health/io/tcp_target.hpp"
#include "health/text.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace hamr::health_io {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

namespace {

constexpr std::size_t limit = 64 * 1024;
constexpr std::size_t shown = 200;

std::string base64(std::string_view raw) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < raw.size(); i += 3) {
        const std::string_view three = raw.substr(i, 3);
        std::uint32_t bits = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            const auto byte = k < three.size() ? static_cast<std::uint8_t>(three[k]) : 0;
            bits = bits << 8 | byte;
        }
        for (std::size_t k = 0; k < 4; ++k) {
            out += k <= three.size() ? digits[bits >> (18 - 6 * k) & 63] : '=';
        }
    }
    return out;
}

/// What would end a header line, or the request line, before its time.
bool fits_a_line(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f; });
}

class HttpTalk final : public Probe {
  public:
    HttpTalk(asio::any_io_executor executor, health::HttpProbe what)
        : Probe(std::move(executor)), what_(std::move(what)), socket_(this->executor()) {
        url_ = "http://" + what_.target.to_string() + what_.path;
    }

  protected:
    void begin() override {
        const bool good = fits_a_line(what_.path) && fits_a_line(what_.host) &&
                          what_.path.find(' ') == std::string::npos;
        if (!good) return finish(false, "the path or host cannot be asked for: " + url_);
        stage_ = Stage::connecting;
        body_.clear();
        buffer_ = beast::flat_buffer(limit);
        parser_.emplace();
        parser_->header_limit(limit);
        parser_->body_limit(boost::none);
        socket_.async_connect(to_asio(what_.target),
                              guarded([this](boost::system::error_code error) { met(error); }));
    }

    void release() override { leave(socket_); }

    [[nodiscard]] std::string overdue(const std::string& time) const override {
        const std::string where = what_.target.to_string();
        switch (stage_) {
            case Stage::connecting:
                return "no connection to " + where + " within " + time;
            case Stage::asked:
                return where + " accepted and did not answer within " + time;
            case Stage::reading:
                break;
        }
        return "the answer from " + url_ + " did not end within " + time;
    }

  private:
    enum class Stage { connecting, asked, reading };
    using Answer = http::response_parser<http::buffer_body>;

    void met(boost::system::error_code error) {
        if (!error && met_itself(socket_)) error = asio::error::connection_refused;
        if (error) return finish(false, why_not_connected(error, what_.target));
        stage_ = Stage::asked;
        request_ = {};
        request_.method(http::verb::get);
        request_.target(what_.path);
        request_.version(11);
        request_.set(http::field::host, what_.host.empty() ? what_.target.to_string() : what_.host);
        request_.set(http::field::user_agent, "hamrd");
        request_.set(http::field::accept, "*/*");
        request_.set(http::field::connection, "close");
        if (!what_.user.empty()) {
            request_.set(http::field::authorization,
                         "Basic " + base64(what_.user + ":" + what_.password));
        }
        http::async_write(socket_, request_,
                          guarded([this](boost::system::error_code failed, std::size_t) {
                              if (failed) return broken(failed);
                              http::async_read_header(
                                  socket_, buffer_, *parser_,
                                  guarded([this](boost::system::error_code wrong, std::size_t) {
                                      if (wrong) return broken(wrong);
                                      stage_ = Stage::reading;
                                      read_body();
                                  }));
                          }));
    }

    /// Piece by piece: nothing is reserved on the word of a Content-Length.
    void read_body() {
        const bool enough =
            parser_->is_done() || body_.size() >= limit ||
            (!what_.contains.empty() && body_.find(what_.contains) != std::string::npos);
        if (enough) return judge();
        parser_->get().body().data = piece_.data();
        parser_->get().body().size = piece_.size();
        parser_->get().body().more = true;
        http::async_read_some(socket_, buffer_, *parser_,
                              guarded([this](boost::system::error_code error, std::size_t) {
                                  const std::size_t got =
                                      piece_.size() - parser_->get().body().size;
                                  body_.append(piece_.data(), std::min(got, limit - body_.size()));
                                  const bool piece_full = error == http::error::need_buffer;
                                  if (error && !piece_full) return broken(error);
                                  read_body();
                              }));
    }

    void broken(boost::system::error_code error) {
        const std::string where = what_.target.to_string();
        if (error == http::error::end_of_stream || error == asio::error::eof) {
            return finish(false, where + " accepted and closed without an answer");
        }
        if (error == http::error::partial_message) {
            return finish(false, "the answer from " + url_ + " broke off");
        }
        if (error == http::error::header_limit || error == http::error::buffer_overflow) {
            return finish(false, "the header from " + url_ + " is longer than 64 KiB");
        }
        const bool not_http =
            error.category() == http::make_error_code(http::error::bad_method).category();
        if (not_http) {
            return finish(false, "what " + where + " answers is not HTTP: " + error.message());
        }
        finish(false, where + ": " + error.message());
    }

    void judge() {
        const auto& answer = parser_->get();
        const unsigned status = answer.result_int();
        const std::string says = "HTTP " + std::to_string(status) + " from " + url_;
        const bool good =
            what_.status != 0 ? status == what_.status : status >= 200 && status < 400;
        if (!good) return finish(false, says + ": " + complaint(status));
        if (what_.contains.empty()) return finish(true, says);
        const std::string wanted = '"' + health::printable(what_.contains, shown) + '"';
        if (body_.find(what_.contains) != std::string::npos) {
            return finish(true, says + " contains " + wanted);
        }
        finish(false, says + (body_.size() >= limit
                                  ? " does not contain " + wanted + " in its first 64 KiB"
                                  : " does not contain " + wanted));
    }

    /// The status in words, and what the page says, if that is for people.
    [[nodiscard]] std::string complaint(unsigned status) const {
        if (status == 401 && what_.status != 401) return "wrong or missing credentials";
        const auto& answer = parser_->get();
        std::string words(answer.reason());
        if (words.empty()) words = std::string(http::obsolete_reason(answer.result()));
        const auto type = answer[http::field::content_type];
        if (type.find("html") == type.npos && !body_.empty()) {
            words += " (" + health::printable(body_, shown) + ")";
        }
        if (what_.status != 0) words += ", not the " + std::to_string(what_.status) + " expected";
        return words;
    }

    health::HttpProbe what_;
    std::string url_;
    tcp::socket socket_;
    Stage stage_ = Stage::connecting;
    http::request<http::empty_body> request_;
    beast::flat_buffer buffer_;
    std::optional<Answer> parser_;
    std::array<char, 4096> piece_{};
    std::string body_;
};

}  // namespace

std::shared_ptr<Probe> make_http_probe(asio::any_io_executor executor, health::HttpProbe what) {
    return std::make_shared<HttpTalk>(std::move(executor), std::move(what));
}

}  // namespace hamr::health_io
