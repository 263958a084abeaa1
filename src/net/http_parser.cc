#include "net/http_parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <limits>

#include "net/text.h"

namespace hf::net {

namespace {

namespace http = boost::beast::http;
using boost::beast::string_view;
using boost::system::error_code;

constexpr std::size_t kResponseHeaderBytes = 64 << 10;

std::string_view view(string_view text) { return {text.data(), text.size()}; }

std::uint32_t clamp_u32(std::size_t n) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(n, std::numeric_limits<std::uint32_t>::max()));
}

/// What requests and responses have in common: fields and body go straight into our own message, without Beast's.
template <bool kRequest, class Message>
class Parser : public http::basic_parser<kRequest> {
 public:
  Parser(std::size_t header_bytes, std::size_t body_bytes) : header_bytes_(header_bytes) {
    this->eager(true);
    this->header_limit(clamp_u32(header_bytes));
    this->body_limit(body_bytes);
  }

  Message message;
  int refusal = 0;
  std::string reason;

  /// Beast 1.81 asserts that a last chunk it looks at again has 5 bytes ("0", two line ends), and aborts when they come
  /// one by one. So wait for 5: no message can end in fewer, wherever a chunk's header is expected.
  bool wants_more_than(std::size_t bytes) const {
    return this->is_header_done() && this->chunked() && chunk_left_ == 0 && bytes < 5;
  }

 protected:
  void refuse(int status, std::string why, error_code& ec) {
    refusal = status;
    reason = std::move(why);
    ec = http::error::bad_field;
  }

  /// Beast's own limit starts anew at each call; ours counts the whole header.
  void count_header(std::size_t bytes, error_code& ec) {
    header_seen_ += bytes;
    if (header_seen_ > header_bytes_) ec = http::error::header_limit;
  }

  virtual void on_field(http::field, std::string_view, error_code&) {}

  void on_field_impl(http::field field, string_view name, string_view value, error_code& ec) final {
    count_header(name.size() + value.size() + 4, ec);
    if (ec || this->is_header_done()) return;  // trailers are read and dropped (RFC 9110 §6.5.1 lets us)
    on_field(field, view(value), ec);
    if (!ec) message.headers.add(std::string(view(name)), std::string(view(value)));
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) final {
    if (length) message.body.reserve(static_cast<std::size_t>(*length));  // below body_limit: checked with the header
  }
  std::size_t on_body_impl(string_view bytes, error_code&) final {
    message.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t size, string_view, error_code&) final { chunk_left_ = size; }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view bytes, error_code&) final {
    message.body.append(bytes.data(), bytes.size());
    chunk_left_ -= bytes.size();
    return bytes.size();
  }
  void on_finish_impl(error_code&) final {}

 private:
  const std::size_t header_bytes_;
  std::size_t header_seen_ = 0;
  std::uint64_t chunk_left_ = 0;
};

class RequestParser final : public Parser<true, HttpRequest> {
 public:
  using Parser::Parser;
  bool expects_continue = false;
  int version = 11;

 private:
  void on_request_impl(http::verb, string_view method, string_view target, int seen, error_code& ec) override {
    count_header(method.size() + target.size() + 12, ec);
    if (ec) return;
    version = seen;
    message.method = view(method);
    set_target(view(target), ec);
  }

  // RFC 9112 §3.2: "/path", "http://host/path" (as to a proxy; a server must take it), "*" for OPTIONS.
  void set_target(std::string_view target, error_code& ec) {
    if (target.starts_with('/') || (target == "*" && message.method == "OPTIONS")) {
      message.target = target;
      return;
    }
    Result<Url> url = parse_url(target);
    if (!url) return refuse(400, "The request target is neither a path nor a URL.", ec);
    message.target = std::move(url->target);
  }

  void on_field(http::field field, std::string_view value, error_code& ec) override {
    switch (field) {
      case http::field::host:
        if (++hosts_ > 1) refuse(400, "More than one Host header.", ec);
        break;
      case http::field::transfer_encoding:
        // Whoever stands in front of us may read a coding that we do not know in another way: request smuggling.
        if (version < 11) return refuse(400, "HTTP/1.0 has no Transfer-Encoding.", ec);
        if (!equal_ignoring_case(value, "chunked")) refuse(501, "The only Transfer-Encoding here is chunked.", ec);
        break;
      case http::field::expect:
        if (!equal_ignoring_case(value, "100-continue")) return refuse(417, "Unknown expectation.", ec);
        expects_continue = version >= 11;
        break;
      default:
        break;
    }
  }

  void on_header_impl(error_code& ec) override {
    if (version >= 11 && hosts_ == 0) refuse(400, "No Host header.", ec);
  }
  void on_response_impl(int, string_view, int, error_code&) override {}

  int hosts_ = 0;
};

class ResponseParser final : public Parser<false, HttpResponse> {
 public:
  using Parser::Parser;

 private:
  void on_request_impl(http::verb, string_view, string_view, int, error_code&) override {}
  void on_response_impl(int code, string_view, int, error_code&) override { message.status = code; }
  void on_header_impl(error_code&) override {}
};

/// RFC 9112 §2.2: empty lines before a request are passed over; some clients send one after a body.
std::size_t count_empty_lines(std::string_view bytes) {
  std::size_t n = 0;
  while (bytes.substr(n, 2) == "\r\n") n += 2;
  return n;
}

HttpParsed explain_request_error(const error_code& ec, const HttpLimits& limits) {
  if (ec == http::error::header_limit) {
    return {0, 431, "The header is larger than " + std::to_string(limits.header_bytes) + " bytes."};
  }
  if (ec == http::error::body_limit) {
    return {0, 413, "The body is larger than " + std::to_string(limits.body_bytes) + " bytes."};
  }
  if (ec == http::error::bad_version) return {0, 505, "This server speaks HTTP/1.1 and HTTP/1.0."};
  return {0, 400, "Malformed request: " + ec.message() + "."};
}

}  // namespace

struct HttpRequestParser::Impl {
  explicit Impl(const HttpLimits& l) : limits(l) { restart(); }
  void restart() { parser.emplace(limits.header_bytes, limits.body_bytes); }

  HttpLimits limits;
  std::optional<RequestParser> parser;
};

HttpRequestParser::HttpRequestParser(const HttpLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
HttpRequestParser::~HttpRequestParser() = default;

HttpParsed HttpRequestParser::put(std::string_view bytes) {
  RequestParser& parser = *impl_->parser;
  HttpParsed parsed;
  if (!parser.got_some()) parsed.consumed = count_empty_lines(bytes);
  const std::string_view rest = bytes.substr(parsed.consumed);
  if (rest.empty() || (!parser.got_some() && rest == "\r") || parser.wants_more_than(rest.size())) return parsed;
  error_code ec;
  parsed.consumed += parser.put(asio::const_buffer(rest.data(), rest.size()), ec);
  const std::size_t left = bytes.size() - parsed.consumed;
  if (ec == http::error::need_more || !ec) {
    // A chunk's extensions and the trailers must come whole; they may not be longer than a header.
    if (parser.is_done() || left <= impl_->limits.header_bytes) return parsed;
    ec = http::error::header_limit;
  }
  if (parser.refusal != 0) return {parsed.consumed, parser.refusal, parser.reason};
  HttpParsed refused = explain_request_error(ec, impl_->limits);
  refused.consumed = parsed.consumed;
  return refused;
}

bool HttpRequestParser::started() const { return impl_->parser->got_some(); }
bool HttpRequestParser::complete() const { return impl_->parser->is_done(); }
bool HttpRequestParser::expects_continue() const {
  return impl_->parser->is_header_done() && impl_->parser->expects_continue;
}
bool HttpRequestParser::keep_alive() const { return impl_->parser->keep_alive(); }
bool HttpRequestParser::http_1_0() const { return impl_->parser->is_header_done() && impl_->parser->version < 11; }

HttpRequest HttpRequestParser::take() {
  HF_ASSERT(complete());
  HttpRequest request = std::move(impl_->parser->message);
  impl_->restart();
  return request;
}

struct HttpResponseParser::Impl {
  Impl(std::size_t limit, Body b) : body_bytes(limit), body(b) { restart(); }
  void restart() {
    parser.emplace(kResponseHeaderBytes, body_bytes);
    parser->skip(body == Body::none);
  }

  const std::size_t body_bytes;
  const Body body;
  std::optional<ResponseParser> parser;
};

HttpResponseParser::HttpResponseParser(std::size_t body_bytes, Body body)
    : impl_(std::make_unique<Impl>(body_bytes, body)) {}
HttpResponseParser::~HttpResponseParser() = default;

HttpParsed HttpResponseParser::put(std::string_view bytes) {
  HttpParsed parsed;
  while (!complete() && parsed.consumed < bytes.size()) {
    error_code ec;
    const std::string_view rest = bytes.substr(parsed.consumed);
    if (impl_->parser->wants_more_than(rest.size())) return parsed;
    const std::size_t n = impl_->parser->put(asio::const_buffer(rest.data(), rest.size()), ec);
    parsed.consumed += n;
    if (ec == http::error::need_more && rest.size() - n <= kResponseHeaderBytes) return parsed;
    if (ec) return {parsed.consumed, 502, "the response is malformed or too large: " + ec.message()};
    if (complete() && impl_->parser->message.status / 100 == 1) {
      if (impl_->parser->message.status == 101) return {parsed.consumed, 502, "the server changed the protocol"};
      impl_->restart();
    }
  }
  return parsed;
}

bool HttpResponseParser::end() {
  if (!impl_->parser->is_header_done()) return false;
  error_code ec;
  impl_->parser->put_eof(ec);
  return !ec && complete();
}

bool HttpResponseParser::complete() const { return impl_->parser->is_done(); }
bool HttpResponseParser::keep_alive() const { return impl_->parser->keep_alive(); }

HttpResponse HttpResponseParser::take() {
  HF_ASSERT(complete());
  return std::move(impl_->parser->message);
}

}  // namespace hf::net
