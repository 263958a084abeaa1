#include "log/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/crc32c.h"
#include "base/log.h"

namespace hf::log {
namespace {

/// A snapshot file. Little-endian.
///   at  size
///    0     8  magic       "HFLOGSNP"
///    8     4  crc         CRC-32C over bytes [12, 32 + state_size)
///   12     4  version     1
///   16     8  position
///   24     8  state_size
///   32     …  state
constexpr std::string_view kMagic = "HFLOGSNP";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderSize = 32;
constexpr std::size_t kFileMax = std::size_t{4} << 30;
constexpr std::string_view kSuffix = ".snapshot";
constexpr std::size_t kPositionDigits = 20;

std::string file_name(const std::string& name, Position position) {
  return fmt::format("{}-{:0{}}{}", name, position.value, kPositionDigits, kSuffix);
}

std::optional<Position> parse_name(std::string_view file, std::string_view name) {
  if (file.size() != name.size() + 1 + kPositionDigits + kSuffix.size()) return std::nullopt;
  if (!file.starts_with(name) || file[name.size()] != '-' || !file.ends_with(kSuffix)) return std::nullopt;
  Position position;
  const char* const digits = file.data() + name.size() + 1;
  const auto [end, error] = std::from_chars(digits, digits + kPositionDigits, position.value);
  if (error != std::errc{} || end != digits + kPositionDigits) return std::nullopt;
  return position;
}

/// Oldest first.
Result<std::vector<Position>> list(sys::FileSystem& files, const std::string& dir, const std::string& name) {
  HF_TRY(const std::vector<std::string> all, files.list(dir));
  std::vector<Position> positions;
  for (const std::string& file : all) {
    if (const std::optional<Position> position = parse_name(file, name)) positions.push_back(*position);
  }
  std::sort(positions.begin(), positions.end());
  return positions;
}

Result<Snapshot> decode(std::string content, Position want) {
  const Bytes bytes = as_bytes(content);
  if (bytes.size() < kHeaderSize || as_text(bytes.first(8)) != kMagic) return Error{Code::corrupt, "not a snapshot"};
  if (get_u32(&bytes[8]) != crc32c(bytes.subspan(12))) return Error{Code::corrupt, "crc"};
  if (get_u32(&bytes[12]) != kVersion) return Error{Code::corrupt, "of an unknown version"};
  if (get_u64(&bytes[16]) != want.value) return Error{Code::corrupt, "of another position"};
  if (get_u64(&bytes[24]) != bytes.size() - kHeaderSize) return Error{Code::corrupt, "of another size"};
  return Snapshot{want, content.erase(0, kHeaderSize)};
}

}  // namespace

Result<Position> write_snapshot(sys::FileSystem& files, const std::string& dir, const std::string& name,
                                Position position, Bytes state) {
  std::string content(kHeaderSize + state.size(), '\0');
  auto* const out = reinterpret_cast<std::uint8_t*>(content.data());
  std::memcpy(out, kMagic.data(), kMagic.size());
  put_u32(out + 12, kVersion);
  put_u64(out + 16, position.value);
  put_u64(out + 24, state.size());
  if (!state.empty()) std::memcpy(out + kHeaderSize, state.data(), state.size());
  put_u32(out + 8, crc32c(as_bytes(content).subspan(12)));
  HF_TRY(files.make_dirs(dir));
  HF_TRY(sys::replace_file(files, dir + "/" + file_name(name, position), content));
  HF_TRY(std::vector<Position> kept, list(files, dir, name));
  while (kept.size() > kSnapshotsKept) {
    HF_TRY(files.remove(dir + "/" + file_name(name, kept.front())));
    kept.erase(kept.begin());
  }
  return kept.front();
}

Result<std::optional<Snapshot>> load_newest_snapshot(sys::FileSystem& files, const std::string& dir,
                                                     const std::string& name) {
  HF_TRY(const bool there, files.exists(dir));
  if (!there) return std::optional<Snapshot>{};
  HF_TRY(const std::vector<Position> positions, list(files, dir, name));
  for (std::size_t i = positions.size(); i-- > 0;) {
    const std::string path = dir + "/" + file_name(name, positions[i]);
    HF_TRY(std::string content, sys::read_file(files, path, kFileMax));
    Result<Snapshot> snapshot = decode(std::move(content), positions[i]);
    if (snapshot) return std::optional(std::move(*snapshot));
    warn("log.snapshot.damaged", {{"path", path}, {"error", snapshot.error().message}});
  }
  if (positions.empty()) return std::optional<Snapshot>{};
  return Error{Code::corrupt, fmt::format("every snapshot {} in {} is damaged", name, dir)};
}

}  // namespace hf::log
