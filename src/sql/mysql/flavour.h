#pragma once

/// Which of the servers that speak the MySQL protocol this is. Their error numbers from 4000 up mean different things.

#include <cstdint>
#include <string_view>

namespace hf::sql::mysql {

enum class Flavour : std::uint8_t { mysql, mariadb, oceanbase };
std::string_view to_string(Flavour flavour);

/// From the version text of the greeting, or of `SELECT @@version_comment` behind a proxy that hides it: "5.7.25
/// OceanBase 4.3.1", "10.11.6-MariaDB-log", "8.0.36". The number in front is no feature level: OceanBase says 5.7.
Flavour flavour_of(std::string_view version_text);

/// `text` contains `lower_words`, ignoring the case of ASCII letters in `text`.
bool says(std::string_view text, std::string_view lower_words);

}  // namespace hf::sql::mysql
