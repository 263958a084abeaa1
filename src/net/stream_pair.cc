#include <algorithm>
#include <cstring>
#include <utility>

#include "net/byte_stream.h"
#include "sys/wait.h"

namespace hf::net {

namespace {

/// One direction. The writer waits while it is full, the reader while it is empty.
struct Pipe {
  Pipe(sys::Clock& clock, std::size_t limit) : capacity(limit), changed(clock) {}

  const std::size_t capacity;
  std::string bytes;  ///< from `taken` on: written and not yet read
  std::size_t taken = 0;
  bool writer_gone = false;  ///< the reader gets what is left, then the end
  bool reader_gone = false;  ///< the writer gets `unavailable`
  sys::Event changed;

  std::size_t held() const { return bytes.size() - taken; }
  std::size_t put(Bytes more) {
    const std::size_t n = std::min(more.size(), capacity - held());
    bytes.append(as_text(more.first(n)));
    return n;
  }
  std::size_t take(MutableBytes into) {
    const std::size_t n = std::min(into.size(), held());
    std::memcpy(into.data(), bytes.data() + taken, n);
    taken += n;
    if (taken == bytes.size()) {
      bytes.clear();
      taken = 0;
    }
    return n;
  }
};

Error closed() { return Error{Code::unavailable, "the connection is closed"}; }

class PairEnd final : public ByteStream {
 public:
  PairEnd(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, std::string local, std::string peer)
      : in_(std::move(in)), out_(std::move(out)), local_(std::move(local)), peer_(std::move(peer)) {}
  ~PairEnd() override { close(); }

  Task<std::size_t> read_some(MutableBytes into) override {
    const std::shared_ptr<Pipe> pipe = in_;
    for (;;) {
      if (auto now = try_take(*pipe, into)) co_return std::move(*now);
      if (!co_await pipe->changed.wait_until(Monotonic::max())) co_return closed();
    }
  }

  std::optional<Result<std::size_t>> try_read(MutableBytes into) override { return try_take(*in_, into); }

  Task<> write_all(Bytes bytes) override {
    const std::shared_ptr<Pipe> pipe = out_;
    for (;;) {
      if (pipe->reader_gone || pipe->writer_gone) co_return closed();
      const std::size_t n = pipe->put(bytes);
      if (n > 0) pipe->changed.notify_all();
      bytes = bytes.subspan(n);
      if (bytes.empty()) co_return ok();
      if (!co_await pipe->changed.wait_until(Monotonic::max())) co_return closed();
    }
  }

  Task<> finish_writing() override {
    out_->writer_gone = true;
    out_->changed.notify_all();
    co_return ok();
  }

  void close() override {
    out_->writer_gone = true;
    in_->reader_gone = true;
    out_->changed.notify_all();
    in_->changed.notify_all();
  }

  const std::string& peer() const override { return peer_; }
  const std::string& local() const override { return local_; }
  bool secure() const override { return false; }
  const std::string& alpn() const override { return alpn_; }

 private:
  static std::optional<Result<std::size_t>> try_take(Pipe& pipe, MutableBytes into) {
    if (pipe.reader_gone) return closed();
    if (pipe.held() > 0) {
      const std::size_t n = pipe.take(into);
      pipe.changed.notify_all();
      return n;
    }
    if (pipe.writer_gone) return std::size_t{0};
    return std::nullopt;
  }

  std::shared_ptr<Pipe> in_, out_;
  std::string local_, peer_, alpn_;
};

}  // namespace

StreamPair make_stream_pair(sys::Clock& clock, std::size_t capacity) {
  HF_ASSERT(capacity > 0);
  auto up = std::make_shared<Pipe>(clock, capacity);
  auto down = std::make_shared<Pipe>(clock, capacity);
  StreamPair pair;
  pair.client = std::make_unique<PairEnd>(down, up, "client:1", "server:1");
  pair.server = std::make_unique<PairEnd>(up, down, "server:1", "client:1");
  return pair;
}

}  // namespace hf::net
