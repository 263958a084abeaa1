#pragma once

/// `Task<T>`: a coroutine that waits and moves, and ends in a value or an error. It decides nothing.
///
/// Arguments of a coroutine are taken by value unless the caller outlives it (a component, a transaction). An aggregate
/// or a capturing lambda among the arguments of an awaited call gets a name first (docs/decisions/0001-stack.md).

#include <boost/asio/awaitable.hpp>

#include "base/result.h"

namespace hf {

namespace asio = boost::asio;

template <class T = void>
using Task = asio::awaitable<Result<T>>;

}  // namespace hf
