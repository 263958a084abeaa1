#include "log/log.h"
#include "log/segments.h"

namespace hf::log {

struct Log::Cursor::Impl {
  std::shared_ptr<const Segments> segments;
  std::shared_ptr<const Segment> current;
  Position at;
  Window window;
  Position trusted;  ///< the window was read when everything below was durable; above, older bytes may have stood there
};

Log::Cursor::Cursor(std::shared_ptr<const Segments> segments, Position from) : impl_(std::make_unique<Impl>()) {
  impl_->segments = std::move(segments);
  impl_->at = from;
}
Log::Cursor::~Cursor() = default;
Log::Cursor::Cursor(Cursor&&) noexcept = default;
Log::Cursor& Log::Cursor::operator=(Cursor&&) noexcept = default;

Position Log::Cursor::position() const { return impl_->at; }

Result<std::optional<RecordView>> Log::Cursor::next() {
  while (impl_->at < impl_->segments->durable_end()) {
    HF_TRY(std::shared_ptr<const Segment> segment, impl_->segments->find(impl_->at));
    if (segment != impl_->current || impl_->at >= impl_->trusted) {
      impl_->window.forget();
      impl_->trusted = impl_->segments->durable_end();
    }
    impl_->current = std::move(segment);
    HF_TRY(const std::optional<Parsed> record,
           parse_at(*impl_->current, impl_->at, impl_->window, impl_->segments->seed()));
    if (!record) return impl_->segments->explain(*impl_->current, impl_->at);
    const Position position = std::exchange(impl_->at, record->header.next());
    if (record->header.kind == kMark) continue;
    return std::optional(RecordView{position, impl_->at, record->header.kind, record->body});
  }
  return std::optional<RecordView>{};
}

}  // namespace hf::log
