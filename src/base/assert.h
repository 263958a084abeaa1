#pragma once

/// HF_ASSERT(condition): stays on in release and aborts. A wrong transaction is worse than a restart.
/// For preconditions, state changes and relations that our own code guarantees. Never on bytes from wire, disk or
/// configuration: those are errors (base/result.h).

namespace hf {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}

#define HF_ASSERT(condition) \
  (static_cast<bool>(condition) ? void(0) : ::hf::assertion_failed(#condition, __FILE__, __LINE__))
