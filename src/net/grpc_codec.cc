#include "net/grpc_codec.h"

#include <algorithm>
#include <charconv>

namespace hf::net {
namespace {

/// Room is made in these steps, so that a length that is only claimed costs nothing.
constexpr std::size_t kReserveMax = 64 << 10;

constexpr std::string_view kCodeNames[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

std::optional<std::int64_t> unit_ns(char unit) {
  switch (unit) {
    case 'H':
      return 3'600'000'000'000;
    case 'M':
      return 60'000'000'000;
    case 'S':
      return 1'000'000'000;
    case 'm':
      return 1'000'000;
    case 'u':
      return 1'000;
    case 'n':
      return 1;
    default:
      return std::nullopt;
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

MessagePrefix message_prefix(std::size_t length) {
  HF_ASSERT(length <= UINT32_MAX);
  const auto byte = [length](int shift) { return static_cast<char>(length >> shift & 0xff); };
  return {0, byte(24), byte(16), byte(8), byte(0)};
}

MessageReader::Step MessageReader::read_prefix(Bytes& in) {
  const std::size_t n = std::min(in.size(), kMessagePrefix - prefix_size_);
  std::copy_n(in.begin(), n, prefix_.begin() + static_cast<std::ptrdiff_t>(prefix_size_));
  prefix_size_ += n;
  in = in.subspan(n);
  if (prefix_size_ > 0 && prefix_[0] > 1) return Step::malformed;
  if (prefix_size_ > 0 && prefix_[0] == 1) return Step::compressed;
  if (prefix_size_ < kMessagePrefix) return Step::more;
  length_ = std::size_t{prefix_[1]} << 24 | std::size_t{prefix_[2]} << 16 | std::size_t{prefix_[3]} << 8 | prefix_[4];
  if (length_ > limit_) return Step::too_long;
  body_.reserve(std::min(length_, kReserveMax));
  return Step::begun;
}

MessageReader::Step MessageReader::step(Bytes& in) {
  if (prefix_size_ < kMessagePrefix) return read_prefix(in);
  const std::size_t n = std::min(in.size(), length_ - body_.size());
  body_.append(as_text(in.first(n)));
  in = in.subspan(n);
  return body_.size() == length_ ? Step::whole : Step::more;
}

std::string MessageReader::take() {
  HF_ASSERT(prefix_size_ == kMessagePrefix && body_.size() == length_);
  prefix_size_ = 0;
  return std::exchange(body_, {});
}

std::optional<Duration> parse_grpc_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  const std::optional<std::int64_t> unit = unit_ns(text.back());
  text.remove_suffix(1);
  if (!unit || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::int64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  if (count > Duration::max().count() / *unit) return Duration::max();
  return Duration(count * *unit);
}

std::string format_grpc_timeout(Duration timeout) {
  constexpr std::int64_t kMost = 99'999'999;
  const std::int64_t ns = std::max<std::int64_t>(timeout.count(), 0);
  for (const char unit : {'n', 'u', 'm', 'S', 'M', 'H'}) {
    const std::int64_t size = *unit_ns(unit);
    const std::int64_t count = ns / size + (ns % size != 0 ? 1 : 0);
    if (count <= kMost) return fmt::format("{}{}", count, unit);
  }
  return fmt::format("{}H", kMost);
}

Monotonic deadline_after(Monotonic now, Duration timeout) {
  return timeout >= Monotonic::max() - now ? Monotonic::max() : now + timeout;
}

std::string encode_grpc_message(std::string_view message) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(message.size());
  for (const char c : message) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      out.push_back(c);
    } else {
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return out;
}

std::string decode_grpc_message(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int high = text[at] == '%' && at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[at + 2]) : -1;
    if (low < 0) {
      out.push_back(text[at]);
    } else {
      out.push_back(static_cast<char>(high << 4 | low));
      at += 2;
    }
  }
  return out;
}

bool is_grpc_content_type(std::string_view value) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (!value.starts_with(kGrpc)) return false;
  return value.size() == kGrpc.size() || value[kGrpc.size()] == '+' || value[kGrpc.size()] == ';';
}

bool is_binary_metadata(std::string_view name) { return name.ends_with("-bin"); }

bool append_metadata(GrpcMetadata& to, std::string_view name, std::string_view value) {
  if (!is_binary_metadata(name)) {
    to.emplace_back(name, value);
    return true;
  }
  while (true) {
    const std::size_t comma = value.find(',');
    std::optional<std::string> bytes = unbase64(value.substr(0, comma));
    if (!bytes) return false;
    to.emplace_back(name, std::move(*bytes));
    if (comma == std::string_view::npos) return true;
    value.remove_prefix(comma + 1);
  }
}

std::string encode_metadata_value(std::string_view name, std::string_view value) {
  return is_binary_metadata(name) ? base64(as_bytes(value)) : std::string(value);
}

GrpcCode parse_grpc_code(std::string_view text) {
  int code = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  if (error != std::errc() || end != text.data() + text.size() || code < 0 || code > 16) return GrpcCode::unknown;
  return static_cast<GrpcCode>(code);
}

GrpcCode code_of_http_status(int status) {
  switch (status) {
    case 400:
      return GrpcCode::internal;
    case 401:
      return GrpcCode::unauthenticated;
    case 403:
      return GrpcCode::permission_denied;
    case 404:
      return GrpcCode::unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcCode::unavailable;
    default:
      return GrpcCode::unknown;
  }
}

GrpcCode code_of_reset(std::uint32_t http2_error) {
  switch (http2_error) {
    case 0x7:
      return GrpcCode::unavailable;  // REFUSED_STREAM
    case 0x8:
      return GrpcCode::cancelled;  // CANCEL
    case 0xb:
      return GrpcCode::resource_exhausted;  // ENHANCE_YOUR_CALM
    case 0xc:
      return GrpcCode::permission_denied;  // INADEQUATE_SECURITY
    default:
      return GrpcCode::internal;
  }
}

std::string_view to_string(GrpcCode code) { return kCodeNames[static_cast<std::size_t>(code)]; }

}  // namespace hf::net
