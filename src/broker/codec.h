#pragma once

/// Little-endian writing and reading of plain fields, for records and snapshots.

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/bytes.h"
#include "base/result.h"

namespace hf::broker {

class Encoder {
 public:
  template <class N>
    requires(std::is_integral_v<N> || std::is_enum_v<N>)
  Encoder& put(N value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);  // the machine is little-endian (base/bytes.cc)
    return *this;
  }
  Encoder& text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
    return *this;
  }
  std::string take() { return std::move(out_); }
  void reserve(std::size_t bytes) { out_.reserve(bytes); }

 private:
  std::string out_;
};

/// Reads in the order of writing; after the last field ask finish(). Reading beyond the end gives zeros and is
/// remembered.
class Decoder {
 public:
  explicit Decoder(Bytes in) : in_(in) {}
  template <class N>
    requires(std::is_integral_v<N> || std::is_enum_v<N>)
  Decoder& get(N& value) {
    if (in_.size() < sizeof value) {
      short_ = true;
      value = N{};
      return *this;
    }
    std::memcpy(&value, in_.data(), sizeof value);
    in_ = in_.subspan(sizeof value);
    return *this;
  }
  template <class N>
  N get() {
    N value{};
    get(value);
    return value;
  }
  Decoder& text(std::string& value) {
    const auto size = get<std::uint32_t>();
    value = std::string(bytes(size));
    return *this;
  }
  std::string_view bytes(std::size_t size) {
    if (in_.size() < size) {
      short_ = true;
      return {};
    }
    const std::string_view view = as_text(in_.first(size));
    in_ = in_.subspan(size);
    return view;
  }
  Bytes rest() const { return in_; }
  bool failed() const { return short_; }
  std::size_t left() const { return in_.size(); }
  /// Error: corrupt, if fields were missing or bytes are left over.
  Result<void> finish(std::string_view what) const {
    if (!short_ && in_.empty()) return ok();
    return Error{Code::corrupt, std::string(what) + (short_ ? " is too short" : " is too long")};
  }

 private:
  Bytes in_;
  bool short_ = false;
};

}  // namespace hf::broker
