// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <mutex>

namespace sluice::log {
namespace {

struct State {
    std::mutex mutex;
    std::vector<Module*> modules;
    std::string path;
    std::atomic<int> fd{-1};  // read without the mutex by enabled()
    unsigned sequence = 0;
    Level default_console = Level::kWarn;
    Level default_file = Level::kInfo;
};

// Leaked on purpose: modules log until the very end of the process.
State& state() {
    static State* instance = new State;
    return *instance;
}

long long now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

bool parse_level(std::string_view word, Level* level) {
    static constexpr std::pair<const char*, Level> kNames[] = {
        {"off", Level::kOff},   {"emer", Level::kEmer}, {"err", Level::kErr},
        {"warn", Level::kWarn}, {"info", Level::kInfo}, {"dbg", Level::kDbg}};
    for (const auto& [name, value] : kNames) {
        if (word.size() == std::strlen(name) && !strncasecmp(word.data(), name, word.size())) {
            *level = value;
            return true;
        }
    }
    return false;
}

struct Setting {
    std::string module = "ANY";
    std::string destination = "ANY";
    Level level = Level::kDbg;
};

bool is_any(std::string_view word) {
    return word.size() == 3 && !strncasecmp(word.data(), "any", 3);
}

Result<Setting> parse_setting(std::string_view word) {
    Setting setting;
    while (!word.empty()) {
        const size_t colon = word.find(':');
        const std::string part(word.substr(0, colon));
        word = colon == std::string_view::npos ? std::string_view() : word.substr(colon + 1);
        Level level;
        if (part.empty() || is_any(part)) {
            continue;
        }
        if (parse_level(part, &level)) {
            setting.level = level;
        } else if (part == "console" || part == "file" || part == "syslog") {
            setting.destination = part;
        } else {
            State& s = state();
            const bool known = std::any_of(s.modules.begin(), s.modules.end(),
                                           [&](const Module* m) { return part == m->name; });
            if (!known) {
                return Error{"no destination, level, or module \"" + part + "\""};
            }
            setting.module = part;
        }
    }
    return setting;
}

void apply(const Setting& setting) {
    State& s = state();
    const bool console = is_any(setting.destination) || setting.destination == "console";
    const bool file = is_any(setting.destination) || setting.destination == "file";
    if (is_any(setting.module)) {
        s.default_console = console ? setting.level : s.default_console;
        s.default_file = file ? setting.level : s.default_file;
    }
    for (Module* module : s.modules) {
        if (is_any(setting.module) || setting.module == module->name) {
            if (console) {
                module->console_level = setting.level;
            }
            if (file) {
                module->file_level = setting.level;
            }
        }
    }
}

}  // namespace

Module::Module(const char* module_name) : name(module_name) {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    console_level = s.default_console;
    file_level = s.default_file;
    s.modules.push_back(this);
}

bool RateLimit::allow(unsigned* dropped_before) {
    const long long now = now_ms();
    const long long last = last_fill_ms.load();
    const long long step_ms = 60000 / per_minute;
    if (now - last >= step_ms) {
        const long long earned = last == 0 ? burst : (now - last) / step_ms;
        last_fill_ms = now;
        tokens = static_cast<unsigned>(std::min<long long>(burst, tokens.load() + earned));
    }
    if (tokens.load() == 0) {
        ++dropped;
        return false;
    }
    --tokens;
    *dropped_before = dropped.exchange(0);
    return true;
}

bool enabled(const Module& module, Level level) {
    return level <= module.console_level.load(std::memory_order_relaxed) ||
           (level <= module.file_level.load(std::memory_order_relaxed) && state().fd >= 0);
}

void write(Module& module, Level level, std::string_view text) {
    timespec ts{};
    clock_gettime(CLOCK_REALTIME, &ts);
    tm utc{};
    gmtime_r(&ts.tv_sec, &utc);
    State& s = state();
    const std::lock_guard lock(s.mutex);
    const std::string line = fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z|{:05}|{}|{}|{}\n", utc.tm_year + 1900,
        utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ts.tv_nsec / 1000000,
        ++s.sequence, module.name, to_string(level), text);
    if (level <= module.console_level.load()) {
        (void)!::write(STDERR_FILENO, line.data(), line.size());
    }
    if (s.fd >= 0 && level <= module.file_level.load()) {
        (void)!::write(s.fd, line.data(), line.size());
    }
}

Result<void> open_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        return Error{"cannot open log file " + path + ": " + std::strerror(errno)};
    }
    State& s = state();
    const std::lock_guard lock(s.mutex);
    if (s.fd >= 0) {
        ::close(s.fd);
    }
    s.fd = fd;
    s.path = path;
    return {};
}

Result<void> reopen_file() {
    std::string path;
    {
        State& s = state();
        const std::lock_guard lock(s.mutex);
        path = s.path;
    }
    if (path.empty()) {
        return Error{"Logging to file not enabled"};
    }
    return open_file(path);
}

void close_file() {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    if (s.fd >= 0) {
        ::close(s.fd);
        s.fd = -1;
    }
}

Result<void> set(std::string_view spec) {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    while (!spec.empty()) {
        const size_t end = spec.find_first_of(" ,\t");
        const std::string_view word = spec.substr(0, end);
        spec = end == std::string_view::npos ? std::string_view() : spec.substr(end + 1);
        if (word.empty()) {
            continue;
        }
        Result<Setting> setting = parse_setting(word);
        if (!setting) {
            return setting.error();
        }
        apply(*setting);
    }
    return {};
}

std::string list() {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    std::vector<Module*> modules = s.modules;
    std::sort(modules.begin(), modules.end(),
              [](const Module* a, const Module* b) { return std::strcmp(a->name, b->name) < 0; });
    std::string text = "                 console    file\n                 -------    ------\n";
    for (const Module* module : modules) {
        text += fmt::format("{:<17}{:>5}{:>11}\n", module->name,
                            to_string(module->console_level.load()),
                            to_string(module->file_level.load()));
    }
    return text;
}

const char* to_string(Level level) {
    switch (level) {
    case Level::kOff: return "OFF";
    case Level::kEmer: return "EMER";
    case Level::kErr: return "ERR";
    case Level::kWarn: return "WARN";
    case Level::kInfo: return "INFO";
    case Level::kDbg: return "DBG";
    }
    return "?";
}

}  // namespace sluice::log
