#pragma once

/// What every example needs and none is about: a folder, a database with tables, an event loop.

#include <cstdio>
#include <filesystem>

#include "base/log.h"
#include "sql/database.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace example {

using hf::Result;
using hf::Task;

/// Runs `main` with a database that has `tables`; the exit code says whether all of it went well.
inline int run(const std::vector<std::string>& tables,
               const std::function<Task<>(hf::sys::World&, hf::sql::Database&)>& main) {
  hf::log::set_level(hf::log::Level::warn);
  const std::string folder =
      std::filesystem::temp_directory_path() / ("holdfast-example-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  hf::sys::Loop loop;
  auto body = [&]() -> Task<> {
    HF_CO_TRY(const auto database, hf::sql::open(loop.world(), "sqlite:example.db", folder));
    const std::vector<hf::sql::Migration> migrations = {{1, "example", tables}};
    HF_CO_TRY(co_await database->migrate("example", migrations));
    const Result<void> done = co_await main(loop.world(), *database);
    co_await database->close();
    co_return done;
  };
  const Result<void> done = loop.run_until_done(body());
  std::filesystem::remove_all(folder);
  if (!done) std::fprintf(stderr, "%s\n", done.error().to_string().c_str());
  return done ? 0 : 1;
}

/// An expectation of an example; the sentence tells what did not hold.
inline Result<void> expect(bool holds, const char* sentence) {
  if (holds) return hf::ok();
  return hf::Error{hf::Code::internal, sentence};
}

}  // namespace example
