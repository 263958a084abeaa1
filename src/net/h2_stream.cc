#include "net/h2_stream.h"

#include <algorithm>

namespace hf::net {

std::string MessageQueue::pop() {
  HF_ASSERT(!empty());
  std::string message = std::move(items_[head_++]);
  if (head_ == items_.size()) {
    items_.clear();
    head_ = 0;
  } else if (head_ >= 64 && head_ * 2 >= items_.size()) {
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  return message;
}

void OutQueue::push(std::string message) {
  pending_ += kMessagePrefix + message.size();
  messages_.push(std::move(message));
}

void OutQueue::copy_to(std::string& to, std::size_t n) {
  HF_ASSERT(n <= pending_);
  pending_ -= n;
  while (n > 0) {
    const std::string& body = messages_.front();
    if (at_ < kMessagePrefix) {
      const MessagePrefix prefix = message_prefix(body.size());
      const std::size_t part = std::min(n, kMessagePrefix - at_);
      to.append(prefix.data() + at_, part);
      at_ += part;
      n -= part;
    }
    const std::size_t part = std::min(n, kMessagePrefix + body.size() - at_);
    to.append(body, at_ - std::min(at_, kMessagePrefix), part);
    at_ += part;
    n -= part;
    if (at_ == kMessagePrefix + body.size()) {
      messages_.pop();
      at_ = 0;
    }
  }
}

nghttp2_nv header_field(std::string_view name, std::string_view value, bool keep) {
  // nghttp2 takes mutable pointers and does not write through them.
  auto* name_at = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  auto* value_at = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  const int flags = keep ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE : NGHTTP2_NV_FLAG_NONE;
  return {name_at, value_at, name.size(), value.size(), static_cast<std::uint8_t>(flags)};
}

}  // namespace hf::net
