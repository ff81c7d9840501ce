// SPDX-License-Identifier: Apache-2.0
// Logging in the vlog manner of Open vSwitch: per-module levels that change at run time.
//
// A module is declared once per .cc file with SLUICE_LOG_MODULE(name). Lines go to the console
// and, if open, to the log file: "2026-01-02T03:04:05.678Z|00012|module|WARN|text".
// Every logging call is rate limited by call site when made through LOG_*_RL. Threads: any thread
// but a worker; datapath never includes this header (tests/dev check it).
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace sluice::log {

enum class Level : int { kOff = 0, kEmer, kErr, kWarn, kInfo, kDbg };

/// One named module and its two levels; lives for the whole process.
struct Module {
    explicit Module(const char* module_name);
    const char* name;
    std::atomic<Level> console_level;  ///< written by any thread through set(), read by any
    std::atomic<Level> file_level;     ///< same
};

/// At most `burst` lines at once and `per_minute` in the long run; the rest are counted and the
/// count is told with the next line that passes.
struct RateLimit {
    unsigned per_minute = 12;
    unsigned burst = 5;
    std::atomic<unsigned> tokens{5};
    std::atomic<long long> last_fill_ms{0};
    std::atomic<unsigned> dropped{0};
    bool allow(unsigned* dropped_before);
};

bool enabled(const Module& module, Level level);
void write(Module& module, Level level, std::string_view text);

/// Opens (or reopens, after rotation) the log file. Append mode.
Result<void> open_file(const std::string& path);
Result<void> reopen_file();
/// Closes it; reopen_file() opens it again.
void close_file();
/// vlog/set syntax: "[module][:[destination][:level]]", destination is console, file or syslog
/// (accepted, no effect), ANY is a wildcard. Several words separated by space or comma.
Result<void> set(std::string_view spec);
/// The text of vlog/list.
std::string list();
const char* to_string(Level level);

}  // namespace sluice::log

#define SLUICE_LOG_MODULE(module_name) static ::sluice::log::Module sluice_log_module_(#module_name)

#define SLUICE_LOG(level, ...)                                                         \
    do {                                                                               \
        if (::sluice::log::enabled(sluice_log_module_, ::sluice::log::Level::level)) { \
            ::sluice::log::write(sluice_log_module_, ::sluice::log::Level::level,      \
                                 fmt::format(__VA_ARGS__));                            \
        }                                                                              \
    } while (0)
#define LOG_ERR(...) SLUICE_LOG(kErr, __VA_ARGS__)
#define LOG_WARN(...) SLUICE_LOG(kWarn, __VA_ARGS__)
#define LOG_INFO(...) SLUICE_LOG(kInfo, __VA_ARGS__)
#define LOG_DBG(...) SLUICE_LOG(kDbg, __VA_ARGS__)

#define SLUICE_LOG_RL(level, ...)                                                        \
    do {                                                                                 \
        static ::sluice::log::RateLimit sluice_rl_;                                      \
        unsigned sluice_rl_dropped_ = 0;                                                 \
        if (::sluice::log::enabled(sluice_log_module_, ::sluice::log::Level::level) &&   \
            sluice_rl_.allow(&sluice_rl_dropped_)) {                                     \
            if (sluice_rl_dropped_) {                                                    \
                ::sluice::log::write(                                                    \
                    sluice_log_module_, ::sluice::log::Level::level,                     \
                    fmt::format("dropped {} similar log messages", sluice_rl_dropped_)); \
            }                                                                            \
            ::sluice::log::write(sluice_log_module_, ::sluice::log::Level::level,        \
                                 fmt::format(__VA_ARGS__));                              \
        }                                                                                \
    } while (0)
#define LOG_ERR_RL(...) SLUICE_LOG_RL(kErr, __VA_ARGS__)
#define LOG_WARN_RL(...) SLUICE_LOG_RL(kWarn, __VA_ARGS__)
#define LOG_INFO_RL(...) SLUICE_LOG_RL(kInfo, __VA_ARGS__)
