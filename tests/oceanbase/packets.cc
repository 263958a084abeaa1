#include "oceanbase/packets.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/assert.h"

namespace hf::oceanbase {
namespace {

constexpr std::size_t kFrameMax = 0xffffff;

// Capabilities: https://mariadb.com/kb/en/connection/#capabilities
constexpr std::uint32_t kClientMysql = 1, kCompress = 1U << 5, kLocalFiles = 1U << 7, kSsl = 1U << 11,
                        kSessionTrack = 1U << 23, kNoEof = 1U << 24, kProgress = 1U << 29;
constexpr std::uint32_t kNotFollowed = kCompress | kLocalFiles | kSsl | kSessionTrack | kNoEof | kProgress;

constexpr std::uint16_t kMoreResults = 0x0008, kCursorExists = 0x0040;

std::uint16_t get_u16(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<std::uint8_t>(bytes.at(i))); };
  return static_cast<std::uint16_t>(byte(at) | byte(at + 1) << 8);
}
void put_u16(std::string& bytes, std::size_t at, std::uint32_t value) {
  bytes.at(at) = static_cast<char>(value & 0xff);
  bytes.at(at + 1) = static_cast<char>(value >> 8 & 0xff);
}
std::size_t frame_size(std::string_view header) { return get_u32(std::string(header.substr(0, 3)) + '\0', 0); }

/// A length-encoded integer's own size.
std::size_t size_of_number(std::string_view bytes, std::size_t at) {
  switch (static_cast<std::uint8_t>(bytes.at(at))) {
    case 0xfc:
      return 3;
    case 0xfd:
      return 4;
    case 0xfe:
      return 9;
    default:
      return 1;
  }
}

bool is_eof(std::string_view payload) { return payload.size() < 9 && static_cast<std::uint8_t>(payload[0]) == 0xfe; }
std::uint16_t status_of_eof(std::string_view payload) { return get_u16(payload, 3); }
std::uint16_t status_of_ok(std::string_view payload) {
  std::size_t at = 1 + size_of_number(payload, 1);  // rows
  at += size_of_number(payload, at);                // insert id
  return get_u16(payload, at);
}

}  // namespace

std::uint32_t get_u32(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint32_t>(get_u16(bytes, at)) | static_cast<std::uint32_t>(get_u16(bytes, at + 2)) << 16;
}

Packet make_packet(std::uint8_t sequence, std::string_view payload) {
  HF_ASSERT(payload.size() < kFrameMax);
  std::string wire(4, '\0');
  put_u16(wire, 0, static_cast<std::uint32_t>(payload.size()));
  wire[2] = static_cast<char>(payload.size() >> 16);
  wire[3] = static_cast<char>(sequence);
  return {wire.append(payload)};
}

Packet make_error(unsigned number, std::string_view sqlstate, std::string_view text) {
  std::string payload("\xff\0\0#", 4);
  put_u16(payload, 1, number);
  return make_packet(1, payload.append(sqlstate).append(text));
}

Packet make_ok() { return make_packet(1, std::string_view("\0\0\0\x02\0\0\0", 7)); }

std::optional<Packet> Stream::read() {
  Packet packet;
  std::size_t size = kFrameMax;
  while (size == kFrameMax) {
    const std::size_t at = packet.wire.size();
    packet.wire.resize(at + 4);
    if (!read_exactly(&packet.wire[at], 4)) return std::nullopt;
    size = frame_size(std::string_view(packet.wire).substr(at));
    packet.wire.resize(at + 4 + size);
    if (!read_exactly(&packet.wire[at + 4], size)) return std::nullopt;
  }
  return packet;
}

bool Stream::read_exactly(char* to, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(fd_, to, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool Stream::write(const Packet& packet) {
  std::string_view rest = packet.wire;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

Packet rewrite_greeting(const Packet& greeting, std::string_view version) {
  const std::string_view old = greeting.payload();
  const std::size_t end = old.find('\0', 1);
  HF_ASSERT(old[0] == 10 && end != std::string_view::npos);
  std::string payload = std::string(1, old[0]).append(version).append(old.substr(end));
  const std::size_t fixed = 1 + version.size() + 1 + 4 + 8 + 1;  // thread id, first part of the challenge, a zero
  const std::uint32_t low = get_u16(payload, fixed), high = get_u16(payload, fixed + 5);
  const std::uint32_t capabilities = ((low | high << 16) & ~kNotFollowed) | kClientMysql;
  put_u16(payload, fixed, capabilities);
  put_u16(payload, fixed + 5, capabilities >> 16);
  payload.replace(fixed + 14, 4, 4, '\0');  // after character set, status and the challenge's size: 6 zeros, extensions
  return make_packet(static_cast<std::uint8_t>(greeting.wire[3]), payload);
}

Packet rewrite_login(const Packet& login, std::string& user) {
  std::string payload(login.payload());
  const std::uint32_t capabilities = (get_u32(payload, 0) & ~kNotFollowed) | kClientMysql;
  put_u16(payload, 0, capabilities);
  put_u16(payload, 2, capabilities >> 16);
  user = payload.substr(32, payload.find('\0', 32) - 32);
  return make_packet(static_cast<std::uint8_t>(login.wire[3]), payload);
}

AnswerReader::AnswerReader(Command command)
    : command_(command), part_(command == Command::fetch ? Part::rows : Part::first) {}

bool AnswerReader::complete(const Packet& packet) {
  const std::string_view payload = packet.payload();
  if (packet.first() == 0xff) {
    failed_ = true;
    return true;
  }
  switch (part_) {
    case Part::first:
      return command_ == Command::prepare ? first_of_prepare(payload) : first_of_result(payload);
    case Part::definitions:
      if (!is_eof(payload)) return false;
      if (command_ == Command::prepare) return --eofs_left_ == 0;
      part_ = Part::rows;
      return (status_of_eof(payload) & kCursorExists) != 0;  // the rows are fetched later
    case Part::rows:
      if (!is_eof(payload)) return false;
      part_ = Part::first;
      return (status_of_eof(payload) & kMoreResults) == 0;
  }
  HF_ASSERT(false);
}

bool AnswerReader::first_of_prepare(std::string_view payload) {
  statement_id_ = get_u32(payload, 1);
  eofs_left_ = (get_u16(payload, 5) > 0 ? 1 : 0) + (get_u16(payload, 7) > 0 ? 1 : 0);
  part_ = Part::definitions;
  return eofs_left_ == 0;
}

bool AnswerReader::first_of_result(std::string_view payload) {
  const bool has_rows = command_ == Command::query || command_ == Command::execute;
  if (!has_rows) return true;
  if (payload[0] == 0) return (status_of_ok(payload) & kMoreResults) == 0;
  part_ = Part::definitions;
  return false;
}

}  // namespace hf::oceanbase
