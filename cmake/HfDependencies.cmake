# Foreign libraries: Debian 12 packages, listed in ./dev. Each header has one home folder (docs/decisions/0001-stack.md).

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url system)
find_package(OpenSSL REQUIRED)
find_package(Protobuf REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(simdjson REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(nghttp2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(mariadb REQUIRED IMPORTED_TARGET libmariadb)
include(GoogleTest)

# Asio and Beast are compiled once, here (BOOST_*_SEPARATE_COMPILATION in HfToolchain).
add_library(hf_boost_impl STATIC ${PROJECT_SOURCE_DIR}/cmake/boost_impl.cc)
target_link_libraries(hf_boost_impl PUBLIC hf_flags Boost::headers Boost::json Boost::system OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
