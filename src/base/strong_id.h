#pragma once

/// Ids that cannot be mixed up: `using OrderId = StrongId<struct OrderIdTag, std::string>;`

#include <compare>
#include <functional>
#include <utility>

namespace hf {

template <class Tag, class Rep>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(Rep value) : value_(std::move(value)) {}
  const Rep& value() const noexcept { return value_; }
  auto operator<=>(const StrongId&) const = default;

 private:
  Rep value_{};
};

}  // namespace hf

template <class Tag, class Rep>
struct std::hash<hf::StrongId<Tag, Rep>> {
  std::size_t operator()(const hf::StrongId<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
