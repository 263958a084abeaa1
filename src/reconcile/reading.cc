#include "reconcile/reading.h"

#include <fmt/format.h>

#include <algorithm>

namespace hf::reconcile {

std::vector<std::string> split(const std::string& joined) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < joined.size();) {
    const std::size_t end = std::min(joined.find(',', at), joined.size());
    parts.push_back(joined.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Task<> read_store(sql::Database& database, Facts& facts, Fill fill, const char* name) {
  std::function<Result<Facts>(Reader&)> work = [fill = std::move(fill)](Reader& reader) -> Result<Facts> {
    Facts part;  // of its own: a unit may run more than once
    HF_TRY(fill(reader, part));
    return part;
  };
  Result<Facts> part = co_await database.read<Facts>(std::move(work));
  if (!part) co_return part.error().with_context(fmt::format("reading {}'s database", name));
  const auto append = [](auto& to, auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(facts.stock, part->stock);
  append(facts.orders, part->orders);
  append(facts.markers, part->markers);
  append(facts.messages, part->messages);
  append(facts.deliveries, part->deliveries);
  append(facts.notifications, part->notifications);
  append(facts.phone, part->phone);
  append(facts.order_messages, part->order_messages);
  append(facts.handled, part->handled);
  append(facts.orders_before, part->orders_before);
  append(facts.transactions, part->transactions);
  append(facts.holdings, part->holdings);
  append(facts.movements, part->movements);
  append(facts.prepared, part->prepared);
  append(facts.heuristics, part->heuristics);
  co_return ok();
}

}  // namespace hf::reconcile
