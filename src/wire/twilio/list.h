#pragma once

/// Lists of the 2010 API: filters, and pages that hold on to a place by the last SID seen.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "wire/twilio/error.h"
#include "wire/twilio/fields.h"
#include "wire/twilio/status.h"

namespace hf::wire::twilio {

/// Half open: [from, until). Absent: no bound.
struct TimeRange {
  std::optional<WallTime> from, until;
  bool any() const { return from || until; }
};

struct ListQuery {
  Kind kind = Kind::message;
  std::string to, sender;  ///< "": any
  std::string status;      ///< calls only
  TimeRange sent;          ///< DateSent, or StartTime of calls. Rows that were not sent yet match no such filter
  std::size_t page_size = 50;
  std::size_t page = 0;
  std::string after_sid;  ///< the page begins behind this one (newest first); "": at the newest
};
/// Errors: 20007 (page size), 21481 (page token), 20001 (a date that is none).
Checked<ListQuery> parse_list_query(Kind kind, const Fields& query);

/// `items`: one JSON object each, at most `page_size`. `more`: something follows behind the last.
std::string page_json(const ListQuery& query, std::string_view account_sid, const std::vector<std::string>& items,
                      std::string_view last_sid, bool more);

/// A page as a client reads it.
struct Page {
  std::vector<std::string> items;  ///< JSON objects
  std::string next_page_uri;       ///< relative to the host; "": the last page
};
Result<Page> parse_page(Kind kind, std::string_view json);

}  // namespace hf::wire::twilio
