#pragma once

/// One call on an HTTP/2 connection, as state: what has arrived, what is to go out. Shared by both sides, moved by
/// H2Session; nobody else includes it.

#include <nghttp2/nghttp2.h>

#include <boost/container/small_vector.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "net/grpc_codec.h"
#include "sys/wait.h"

namespace hf::net {

class H2Session;

/// First in, first out. One message, the common case, costs no allocation of its own.
class MessageQueue {
 public:
  void push(std::string message) { items_.push_back(std::move(message)); }
  std::string pop();
  const std::string& front() const { return items_[head_]; }
  bool empty() const { return head_ == items_.size(); }
  std::size_t size() const { return items_.size() - head_; }

 private:
  boost::container::small_vector<std::string, 1> items_;
  std::size_t head_ = 0;
};

/// Messages on their way out, each behind its prefix.
class OutQueue {
 public:
  void push(std::string message);
  /// Bytes not yet copied out.
  std::size_t pending() const { return pending_; }
  /// The next `n` ≤ pending() bytes.
  void copy_to(std::string& to, std::size_t n);

 private:
  MessageQueue messages_;
  std::size_t pending_ = 0;
  std::size_t at_ = 0;  ///< in the first message, its prefix included
};

/// One call, either side. Plain state; H2Session moves it.
struct H2Stream : std::enable_shared_from_this<H2Stream> {
  H2Stream(sys::Clock& clock, std::size_t message_limit) : reader(message_limit), readable(clock), writable(clock) {}
  virtual ~H2Stream() = default;
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;

  H2Session* session = nullptr;  ///< null before it opened and after it closed
  std::int32_t id = 0;
  std::size_t slot = 0;  ///< in the session's list
  Monotonic deadline = Monotonic::max();
  bool expired = false;

  MessageReader reader;
  MessageQueue in;
  bool decided = false;       ///< how the call ends is known: what still comes is dropped, nobody waits any more
  bool ignore_input = false;  ///< what comes is not messages
  bool remote_ended = false;
  std::size_t received = 0;    ///< bytes for which no credit was given back
  std::size_t held = 0;        ///< bytes of whole messages that are not done with
  std::size_t assembling = 0;  ///< length of the message that has begun
  sys::Event readable;

  OutQueue out;
  bool out_ended = false;
  bool deferred = false;  ///< nghttp2 waits for resume
  sys::Event writable;
};
using H2StreamPtr = std::shared_ptr<H2Stream>;

/// A header field; with `keep`, name and value outlive the session (literals).
nghttp2_nv header_field(std::string_view name, std::string_view value, bool keep = false);

}  // namespace hf::net
