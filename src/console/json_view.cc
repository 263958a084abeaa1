#include "console/json_view.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

namespace hf::console {
namespace {

const boost::json::value* find(const boost::json::value& object, std::string_view key) {
  const boost::json::object* fields = object.if_object();
  return fields == nullptr ? nullptr : fields->if_contains(key);
}

}  // namespace

std::string text_of(const boost::json::value& object, std::string_view key) {
  const boost::json::value* found = find(object, key);
  if (found == nullptr || found->is_null()) return "";
  if (found->is_string()) return std::string(found->as_string());
  return boost::json::serialize(*found);
}

std::int64_t integer_of(const boost::json::value& object, std::string_view key) {
  const boost::json::value* found = find(object, key);
  if (found == nullptr) return 0;
  boost::system::error_code failed;
  const auto number = found->to_number<std::int64_t>(failed);
  return failed ? 0 : number;
}

const boost::json::array& array_of(const boost::json::value& object, std::string_view key) {
  static const boost::json::array kEmpty;
  const boost::json::value* found = find(object, key);
  return found != nullptr && found->is_array() ? found->get_array() : kEmpty;
}

void print_json(const boost::json::value& value) { std::printf("%s\n", boost::json::serialize(value).c_str()); }

}  // namespace hf::console
