#pragma once

/// Metrics front end; prometheus-cpp's core is in metrics.cc alone. Names: holdfast_<component>_<what>_<unit>.
///
/// Handles are looked up once, at construction of a component, and live as long as the registry. Safe from any thread.

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace hf::metrics {

using Labels = std::initializer_list<std::pair<std::string, std::string>>;

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double n = 1) = 0;
  virtual double value() const = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double value) = 0;
  virtual void add(double n) = 0;
};
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void observe_seconds(double seconds) = 0;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  Counter& counter(const std::string& name, const std::string& help, Labels labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, Labels labels = {});
  /// Buckets from 50 µs to 60 s, exponential.
  Histogram& histogram(const std::string& name, const std::string& help, Labels labels = {});
  /// The Prometheus text exposition format, version 0.0.4.
  std::string expose() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::metrics
