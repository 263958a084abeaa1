#pragma once

/// Errors as values. `Result<T>` for what can go wrong, assertions for what cannot, exceptions for nothing of ours.
///
/// The shape is std::expected's, which C++20 lacks: moving to C++23 makes `Result` an alias
/// (docs/decisions/0002-result.md).

#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace hf {

/// What a *caller can do*; a closed list. Mapped to a protocol in one place: that protocol's edge.
enum class Code {
  invalid,      ///< the request is wrong; do not repeat it
  denied,       ///< not allowed; do not repeat
  not_found,    ///< no such thing; do not repeat
  conflict,     ///< contradicts what is already decided or stored; do not repeat
  exhausted,    ///< a limit is reached; repeat later
  timeout,      ///< it may have happened; repeat only what is idempotent
  unavailable,  ///< it did not happen; repeat later
  corrupt,      ///< stored bytes are damaged; stop the component
  internal,     ///< our bug
};
std::string_view to_string(Code code);

/// Why something failed: a code for the program, a sentence for the person, the place where it arose.
struct Error {
  Code code;
  std::string message;
  std::source_location where;

  Error(Code c, std::string m, std::source_location w = std::source_location::current())
      : code(c), message(std::move(m)), where(w) {}
  /// "unavailable: connection refused (net/connection.cc:120)"
  std::string to_string() const;
  /// The same error with more context in front: "opening the ledger: disk full". Keeps code and place.
  Error with_context(std::string_view context) const&;
};

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design
  template <class U>
    requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
             std::is_convertible_v<U &&, T>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT: implicit by design

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  T& value() & {
    HF_ASSERT(has_value());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    HF_ASSERT(has_value());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    HF_ASSERT(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() & {
    HF_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }
  const Error& error() const& {
    HF_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    HF_ASSERT(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }
  template <class U>
  T value_or(U&& other) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(other));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const { HF_ASSERT(has_value()); }
  Error& error() & {
    HF_ASSERT(!has_value());
    return *error_;
  }
  const Error& error() const& {
    HF_ASSERT(!has_value());
    return *error_;
  }
  Error&& error() && {
    HF_ASSERT(!has_value());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

/// `return ok();` reads better than `return {};` in functions of Result<void>.
inline Result<void> ok() { return {}; }

}  // namespace hf

#define HF_CONCAT_(a, b) a##b
#define HF_CONCAT(a, b) HF_CONCAT_(a, b)

/// HF_TRY(const Json body, parse(text)): declares `body`, or returns the error. HF_TRY(flush()) for Result<void>.
/// HF_CO_TRY is the same inside a coroutine; write the co_await in the expression.
#define HF_TRY(...) HF_TRY_PICK_(__VA_ARGS__)(return, __VA_ARGS__)
#define HF_CO_TRY(...) HF_TRY_PICK_(__VA_ARGS__)(co_return, __VA_ARGS__)
#define HF_TRY_PICK_(...)                                                                                              \
  HF_TRY_NINTH_(__VA_ARGS__, HF_TRY_VALUE_, HF_TRY_VALUE_, HF_TRY_VALUE_, HF_TRY_VALUE_, HF_TRY_VALUE_, HF_TRY_VALUE_, \
                HF_TRY_VALUE_, HF_TRY_VOID_, _)
#define HF_TRY_NINTH_(_1, _2, _3, _4, _5, _6, _7, _8, NAME, ...) NAME
#define HF_TRY_VALUE_(RETURN, decl, ...) HF_TRY_DECLARE_(RETURN, HF_CONCAT(hf_try_, __LINE__), decl, (__VA_ARGS__))
#define HF_TRY_DECLARE_(RETURN, temp, decl, expr)                     \
  auto temp = expr; /* NOLINT */                                      \
  if (!temp.has_value()) RETURN ::hf::Error(std::move(temp).error()); \
  decl = std::move(temp).value()
#define HF_TRY_VOID_(RETURN, ...)                                       \
  do {                                                                  \
    if (auto hf_try_result = (__VA_ARGS__); !hf_try_result.has_value()) \
      RETURN ::hf::Error(std::move(hf_try_result).error());             \
  } while (false)
