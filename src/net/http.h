#pragma once

/// HTTP/1.1 messages, a handler, a client. Beast's parser is behind it (http_session.cc, http_client.cc).

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"
#include "net/byte_stream.h"
#include "sys/world.h"

namespace hf::net {

/// In order, names as they came; look-ups ignore case.
class HttpHeaders {
 public:
  void add(std::string name, std::string value) { all_.emplace_back(std::move(name), std::move(value)); }
  void set(std::string_view name, std::string value);  ///< replaces all of that name
  /// The first of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

struct HttpRequest {
  std::string method;  ///< upper case
  std::string target;  ///< path and query as sent: "/orders?limit=3"; percent-encoding untouched
  HttpHeaders headers;
  std::string body;
  std::string peer;   ///< server side: who called
  std::string local;  ///< server side: by which address
  bool secure = false;

  std::string_view path() const;   ///< the part before '?', still encoded
  std::string_view query() const;  ///< the part after '?', or ""
};

struct HttpResponse {
  int status = 200;     ///< 200 … 999, asserted
  HttpHeaders headers;  ///< Content-Length, Date and Connection are written by the session
  std::string body;

  static HttpResponse text(int status, std::string body, std::string content_type = "text/plain; charset=utf-8");
  static HttpResponse json(int status, std::string body) { return text(status, std::move(body), "application/json"); }
};

/// name=value pairs of a query or of an application/x-www-form-urlencoded body; '+' is a space. Errors: invalid.
using FormFields = std::vector<std::pair<std::string, std::string>>;
Result<FormFields> parse_form(std::string_view encoded);
std::string encode_form(const FormFields& fields);
std::optional<std::string_view> find_field(const FormFields& fields, std::string_view name);

/// Answers one request. Runs on the listener's strand; never throws; errors are responses in the protocol's own shape.
/// Header values may hold data: line ends and NUL in them are sent as spaces, so data never becomes a header
/// (net/http_encode.h). HEAD's body is counted and not sent. What cannot be read as a request never comes here: 400,
/// 408, 413, 417, 431, 501, 505 are answered by the session.
using HttpHandler = std::function<asio::awaitable<HttpResponse>(HttpRequest)>;

struct HttpLimits {
  std::size_t header_bytes = 16 << 10;  ///< beyond: 431
  std::size_t body_bytes = 1 << 20;     ///< beyond: 413
  Duration idle = 60s;                  ///< between requests; then closed
  Duration request = 30s;               ///< from the first byte of a request to its last; then 408
  std::size_t connections = 1024;       ///< beyond: accepted and answered 503, closed
};

/// An absolute http:// or https:// URL, taken apart.
struct Url {
  std::string scheme, host, target;  ///< target: path and query, at least "/"
  std::uint16_t port = 0;
  std::string origin() const;  ///< "http://host:port"
};
Result<Url> parse_url(std::string_view text);

/// Keep-alive connections per origin. One strand. All requests carry a deadline.
class HttpClient {
 public:
  struct Options {
    std::size_t connections_per_origin = 64;
    std::size_t response_bytes = 4 << 20;
    Duration connect_timeout = 3s;
    TlsClientConfig tls;
  };
  HttpClient(sys::World world, Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// `request.target` is replaced by the URL's; Host, Content-Length are added. Any status is a response, not an error;
  /// redirects are not followed. The client may be destroyed before the task ends; the world may not.
  /// Errors: invalid (URL, method or header that cannot be sent as it is, ca_file) · unavailable: *certainly not
  /// processed* (no connection, or an idle connection closed before the first byte of this request went out; those are
  /// repeated once on a fresh one by itself) · timeout: bytes went out and no whole response came (reset, closed, or
  /// the deadline): it may have happened.
  Task<HttpResponse> send(HttpRequest request, std::string url, Monotonic deadline);
  void close_idle();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::net
