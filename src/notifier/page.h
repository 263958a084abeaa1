#pragma once

/// The page that lists status histories per SID. Pure; everything is escaped, phone numbers are masked.

#include <map>
#include <string>
#include <vector>

#include "notifier/store.h"

namespace hf::notifier {

struct PageRow {
  Notification row;
  std::vector<LedgerEvent> history;
};
std::string notifications_page(const std::vector<PageRow>& rows, const std::map<std::string, std::int64_t>& counts);

std::string escape_html(std::string_view text);

}  // namespace hf::notifier
