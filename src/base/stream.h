#pragma once

/// The two ends of a sequence that arrives over time: a gRPC stream, or its twin inside one process.

#include <optional>

#include "base/task.h"

namespace hf {

/// Reads; nullopt is the orderly end. One read at a time.
template <class T>
class StreamReader {
 public:
  virtual ~StreamReader() = default;
  virtual Task<std::optional<T>> read() = 0;
};

/// Writes; suspends while the other side is not taking. Error: `unavailable` once the other side is gone. One write at
/// a time.
template <class T>
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  virtual Task<> write(T item) = 0;
};

}  // namespace hf
