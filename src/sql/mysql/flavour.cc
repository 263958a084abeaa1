#include "sql/mysql/flavour.h"

#include <algorithm>

#include "base/assert.h"

namespace hf::sql::mysql {

std::string_view to_string(Flavour flavour) {
  switch (flavour) {
    case Flavour::mysql:
      return "mysql";
    case Flavour::mariadb:
      return "mariadb";
    case Flavour::oceanbase:
      return "oceanbase";
  }
  HF_ASSERT(false);
}

Flavour flavour_of(std::string_view version_text) {
  if (says(version_text, "oceanbase")) return Flavour::oceanbase;
  if (says(version_text, "mariadb")) return Flavour::mariadb;
  return Flavour::mysql;
}

bool says(std::string_view text, std::string_view lower_words) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  return std::search(text.begin(), text.end(), lower_words.begin(), lower_words.end(), same) != text.end();
}

}  // namespace hf::sql::mysql
