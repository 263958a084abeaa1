#include "sql/mysql/values.h"

#include <charconv>
#include <cstring>

namespace hf::sql::mysql {
namespace {

/// Text goes as text, so that it is compared by the column's rules and finds its index; what is no UTF-8 goes as bytes,
/// which a BLOB takes and a text column refuses.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t more = lead >= 0xf0 && lead < 0xf5   ? 3
                             : lead >= 0xe0 && lead < 0xf0 ? 2
                             : lead >= 0xc2 && lead < 0xe0 ? 1
                                                           : 0;
    if (more == 0 || i + more >= text.size()) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f)) {
      return false;  // overlong, surrogate, beyond Unicode
    }
    i += more + 1;
  }
  return true;
}

MYSQL_BIND bind_value(const Value& value) {
  MYSQL_BIND bind{};
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    bind.buffer_type = MYSQL_TYPE_LONGLONG;
    bind.buffer = const_cast<std::int64_t*>(integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    bind.buffer_type = MYSQL_TYPE_DOUBLE;
    bind.buffer = const_cast<double*>(real);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    bind.buffer_type = is_utf8(*text) ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
    bind.buffer = const_cast<char*>(text->data());
    bind.buffer_length = static_cast<unsigned long>(text->size());
  } else {
    bind.buffer_type = MYSQL_TYPE_NULL;
  }
  return bind;
}

enum class Kind : std::uint8_t { integer, real, decimal, bytes };

Kind kind_of(const MYSQL_FIELD& field) {
  switch (field.type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
      return Kind::integer;
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
      return Kind::real;
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
      return field.decimals == 0 ? Kind::decimal : Kind::real;
    default:
      return Kind::bytes;
  }
}

/// Where one column of the current row arrives.
struct Cell {
  Kind kind = Kind::bytes;
  std::int64_t integer = 0;
  double real = 0;
  std::string bytes;
  unsigned long size = 0;
  my_bool null = 0, error = 0;

  void bind_to(MYSQL_BIND& bind, const MYSQL_FIELD& field) {
    kind = kind_of(field);
    bind.is_null = &null;
    bind.error = &error;
    bind.length = &size;
    if (kind == Kind::integer) {
      bind.buffer_type = MYSQL_TYPE_LONGLONG;
      bind.buffer = &integer;
    } else if (kind == Kind::real) {
      bind.buffer_type = MYSQL_TYPE_DOUBLE;
      bind.buffer = &real;
    } else {
      // max_length: of this result, known because it was stored first. A decimal's is not told: 66 is its longest text.
      bytes.resize(std::max<std::size_t>(field.max_length, kind == Kind::decimal ? 66 : 1));
      bind.buffer_type = kind == Kind::decimal ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
      bind.buffer = bytes.data();
      bind.buffer_length = static_cast<unsigned long>(bytes.size());
    }
  }

  Value value() const {
    if (null != 0) return nullptr;
    if (kind == Kind::integer) return integer;
    if (kind == Kind::real) return real;
    HF_ASSERT(size <= bytes.size());
    const char* const end = bytes.data() + size;
    std::int64_t parsed = 0;
    if (kind == Kind::decimal) {
      const auto [stop, problem] = std::from_chars(bytes.data(), end, parsed);
      if (problem == std::errc() && stop == end) return parsed;  // else more than 63 bits: as text
    }
    return std::string(bytes.data(), size);
  }
};

struct FreeResult {
  void operator()(MYSQL_RES* result) const { ::mysql_free_result(result); }
};

}  // namespace

Binds::Binds(const Params& params) {
  binds_.reserve(params.size());
  for (const Value& value : params) binds_.push_back(bind_value(value));
}

std::optional<Rows> fetch_all(MYSQL_STMT* statement) {
  if (::mysql_stmt_store_result(statement) != 0) return std::nullopt;
  const std::unique_ptr<MYSQL_RES, FreeResult> columns(::mysql_stmt_result_metadata(statement));
  if (!columns) return std::nullopt;
  const std::size_t count = ::mysql_num_fields(columns.get());
  const MYSQL_FIELD* const fields = ::mysql_fetch_fields(columns.get());
  std::vector<Cell> cells(count);
  std::vector<MYSQL_BIND> binds(count);
  for (std::size_t i = 0; i < count; ++i) cells[i].bind_to(binds[i], fields[i]);
  if (::mysql_stmt_bind_result(statement, binds.data()) != 0) return std::nullopt;
  Rows rows;
  rows.reserve(::mysql_stmt_num_rows(statement));
  int rc = ::mysql_stmt_fetch(statement);
  for (; rc == 0; rc = ::mysql_stmt_fetch(statement)) {
    std::vector<Value> values;
    values.reserve(count);
    for (const Cell& cell : cells) values.push_back(cell.value());
    rows.emplace_back(std::move(values));
  }
  if (rc != MYSQL_NO_DATA) return std::nullopt;
  return rows;
}

}  // namespace hf::sql::mysql
