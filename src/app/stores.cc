#include "app/stores.h"

#include "base/assert.h"

namespace hf::app {

void Stores::begin_opening(std::map<std::string, std::string> urls) {
  if (urls.empty()) return;
  opener_ = world_.make_worker("open", urls.size());
  for (auto& [role, url] : urls) {
    auto opened = std::make_shared<std::promise<Opened>>();
    opening_[role] = opened->get_future();
    const bool posted =
        opener_->post([this, opened, where = url] { opened->set_value(sql::open(world_, where, folder_)); });
    HF_ASSERT(posted);
  }
}

Result<sql::Database*> Stores::get(const std::string& role) {
  const auto waiting = opening_.find(role);
  if (waiting != opening_.end()) {
    Opened opened = waiting->second.get();
    opening_.erase(waiting);
    if (!opened) return opened.error().with_context(role + ".database");
    open_[role] = std::move(*opened);
  }
  const auto found = open_.find(role);
  if (found == open_.end()) return Error{Code::unavailable, role + ".database could not be opened"};
  return found->second.get();
}

asio::awaitable<void> Stores::close() {
  for (const auto& [role, database] : open_) co_await database->close();
}

std::string with_option(const std::string& url, const std::string& option) {
  return url + (url.find('?') == std::string::npos ? '?' : '&') + option;
}

}  // namespace hf::app
