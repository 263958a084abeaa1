#pragma once

/// gRPC over HTTP/2 as data: message prefixes, time-outs, percent-encoded messages, binary metadata, status codes.
/// Pure. The rules are those of grpc/grpc doc/PROTOCOL-HTTP2.md.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"
#include "net/grpc.h"

namespace hf::net {

/// Length-Prefixed-Message: 1 byte flag (1: compressed), 4 bytes length, big-endian.
inline constexpr std::size_t kMessagePrefix = 5;
using MessagePrefix = std::array<char, kMessagePrefix>;
MessagePrefix message_prefix(std::size_t length);

/// Puts messages together from chunks that are cut anywhere.
class MessageReader {
 public:
  /// `limit`: the longest message that is accepted.
  explicit MessageReader(std::size_t limit) : limit_(limit) {}

  enum class Step {
    more,        ///< `in` is used up
    begun,       ///< length() is known and not beyond the limit
    whole,       ///< take() has the message
    compressed,  ///< the flag says so; nothing more is read
    malformed,   ///< the flag is neither 0 nor 1; nothing more is read
    too_long,    ///< length() is beyond the limit; nothing more is read
  };
  /// Takes bytes off the front of `in` up to the next thing worth knowing.
  Step step(Bytes& in);
  std::size_t length() const { return length_; }
  /// After `whole`.
  std::string take();
  /// A message has begun and is not whole: the end of the stream would cut it.
  bool inside() const { return prefix_size_ > 0; }

 private:
  Step read_prefix(Bytes& in);

  const std::size_t limit_;
  std::array<std::uint8_t, kMessagePrefix> prefix_{};
  std::size_t prefix_size_ = 0;
  std::size_t length_ = 0;
  std::string body_;
};

/// "3S", "100m", …: 1 to 8 digits and a unit of H M S m u n. Beyond what a Duration holds: Duration::max().
/// nullopt: malformed.
std::optional<Duration> parse_grpc_timeout(std::string_view text);
/// The finest unit that 8 digits can hold, rounded up; a negative one is "0n".
std::string format_grpc_timeout(Duration timeout);
/// now + timeout, Monotonic::max() where that would overflow.
Monotonic deadline_after(Monotonic now, Duration timeout);

/// grpc-message: everything but printable ASCII, and '%', is %XX.
std::string encode_grpc_message(std::string_view message);
/// Never fails: what is not a valid escape stays as it is.
std::string decode_grpc_message(std::string_view text);

/// "application/grpc", alone or followed by '+' or ';'.
bool is_grpc_content_type(std::string_view value);
/// Names that end in "-bin" carry base64.
bool is_binary_metadata(std::string_view name);
/// One header to metadata; nullopt if a "-bin" value is not base64. Several values joined by ',' become several
/// entries.
bool append_metadata(GrpcMetadata& to, std::string_view name, std::string_view value);
/// How a metadata value is written on the wire.
std::string encode_metadata_value(std::string_view name, std::string_view value);

/// "0" … "16"; anything else is `unknown`.
GrpcCode parse_grpc_code(std::string_view text);
/// An answer without grpc-status (grpc/grpc doc/http-grpc-status-mapping.md).
GrpcCode code_of_http_status(int status);
/// A stream that ended by RST_STREAM (PROTOCOL-HTTP2.md, "Errors").
GrpcCode code_of_reset(std::uint32_t http2_error);
/// "NOT_FOUND": for messages and metrics.
std::string_view to_string(GrpcCode code);

}  // namespace hf::net
