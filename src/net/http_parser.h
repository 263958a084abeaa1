#pragma once

/// HTTP/1.1 parsers: bytes in, one message out. No I/O. Beast's basic_parser is in http_parser.cc alone; what it lets
/// pass and we do not (RFC 9112 §6: foreign transfer codings, missing or doubled Host) is refused there.

#include <memory>
#include <string>
#include <string_view>

#include "net/http.h"

namespace hf::net {

/// How far one put() came.
struct HttpParsed {
  std::size_t consumed = 0;  ///< the rest must be given again, with more behind it
  int refusal = 0;           ///< the status to refuse with; 0: none. After one the connection is of no further use
  std::string reason;        ///< one sentence for the refusal's body
};

/// Reads requests one after the other: put() until complete(), take(), and so on.
class HttpRequestParser {
 public:
  explicit HttpRequestParser(const HttpLimits& limits);
  ~HttpRequestParser();
  HttpRequestParser(const HttpRequestParser&) = delete;
  HttpRequestParser& operator=(const HttpRequestParser&) = delete;

  HttpParsed put(std::string_view bytes);
  bool started() const;  ///< at least one byte of the request was seen
  bool complete() const;
  /// After the header: the client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;
  /// After complete(): whether the client wants the connection kept.
  bool keep_alive() const;
  bool http_1_0() const;
  /// The message; the parser is ready for the next one.
  HttpRequest take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads one response; interim ones (1xx) are passed over.
class HttpResponseParser {
 public:
  enum class Body { expected, none };  ///< none: the answer to HEAD
  HttpResponseParser(std::size_t body_bytes, Body body);
  ~HttpResponseParser();
  HttpResponseParser(const HttpResponseParser&) = delete;
  HttpResponseParser& operator=(const HttpResponseParser&) = delete;

  /// `refusal` is 502 for anything malformed or too large.
  HttpParsed put(std::string_view bytes);
  /// The connection ended: true if that completes the message (a body without length).
  bool end();
  bool complete() const;
  bool keep_alive() const;
  HttpResponse take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::net
