// SPDX-License-Identifier: Apache-2.0
#include "tools/sluicectl/capture.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>

#include "control/capture/pcapng.h"
#include "control/rpc/socket.h"
#include "lib/base/event_loop.h"
#include "tools/sluicectl/client.h"

namespace sluice {
namespace {

constexpr int kUsageError = 1;
constexpr int kRefused = 2;

volatile std::sig_atomic_t interrupted = 0;

void note_signal(int) {
    interrupted = 1;
}

int complain(const std::string& text, int status) {
    const bool line = !text.empty() && text.back() == '\n';
    fmt::print(stderr, "sluicectl: {}{}", text, line ? "" : "\n");
    return status;
}

std::string time_text(uint64_t ns) {
    const auto seconds = static_cast<time_t>(ns / 1000000000u);
    tm parts;
    localtime_r(&seconds, &parts);
    return fmt::format("{:02}:{:02}:{:02}.{:06}", parts.tm_hour, parts.tm_min, parts.tm_sec,
                       ns % 1000000000u / 1000);
}

/// A listening socket that nobody finds any more once it is gone.
class Listener {
public:
    Result<void> open(const std::string& run_dir) {
        path_ = fmt::format("{}/sluicectl-capture.{}", run_dir, getpid());
        const Result<int> fd = rpc::listen_unix(path_);
        if (!fd) {
            return fd.error();
        }
        fd_ = *fd;
        return {};
    }
    ~Listener() {
        if (fd_ >= 0) {
            close(fd_);
            unlink(path_.c_str());
        }
    }
    const std::string& path() const { return path_; }
    /// The daemon has connected before it answers.
    Result<int> accept() const {
        pollfd waiting{fd_, POLLIN, 0};
        const int peer = poll(&waiting, 1, 5000) > 0 ? ::accept(fd_, nullptr, nullptr) : -1;
        return peer < 0 ? Result<int>(Error{"the daemon did not connect"}) : Result<int>(peer);
    }

private:
    std::string path_;
    int fd_ = -1;
};

/// Blocks as they come, to a file or to people.
class Reader {
public:
    Reader(int fd, const CaptureOptions& options, CaptureFiles* files)
        : fd_(fd), options_(options), files_(files) {}

    /// Until the daemon has told everything.
    Result<void> run() {
        const int64_t end =
            EventLoop::now_ms() + static_cast<int64_t>(std::min(options_.seconds, 1e9) * 1000);
        std::vector<char> chunk(1 << 18);
        for (;;) {
            const bool is_over = options_.seconds > 0 && EventLoop::now_ms() >= end;
            if ((interrupted || is_over) && !asked_) {
                asked_ = true;
                shutdown(fd_, SHUT_WR);
            }
            pollfd readable{fd_, POLLIN, 0};
            if (poll(&readable, 1, 50) <= 0) {
                if (Result<void> flushed = flush(); !flushed) {
                    return flushed;
                }
                continue;
            }
            const ssize_t n = recv(fd_, chunk.data(), chunk.size(), MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                return flush();
            }
            data_.append(chunk.data(), n < 0 ? 0 : static_cast<size_t>(n));
            if (Result<void> taken = take_blocks(); !taken) {
                return taken;
            }
        }
    }
    /// "12 packets ..."; empty when the daemon died.
    const std::string& summary() const { return summary_; }

private:
    Result<void> take_blocks() {
        size_t at = 0;
        for (;;) {
            bool bad = false;
            const auto block = pcapng::first_block(std::string_view(data_).substr(at), &bad);
            if (bad) {
                return Error{"the daemon sent what is no pcapng"};
            }
            if (!block) {
                break;
            }
            if (Result<void> taken = take(*block); !taken) {
                return taken;
            }
            at += block->size();
        }
        data_.erase(0, at);
        return {};
    }
    Result<void> take(std::string_view block) {
        const pcapng::BlockType type = pcapng::type_of(block);
        if (type == pcapng::BlockType::kStatistics) {
            summary_ = pcapng::option_of(block, pcapng::kComment);
        }
        if (files_) {
            return files_->write(block);
        }
        if (type == pcapng::BlockType::kInterface) {
            names_.emplace_back(pcapng::option_of(block, pcapng::kInterfaceName));
        } else if (type == pcapng::BlockType::kPacket) {
            print(block);
        }
        return {};
    }
    void print(std::string_view block) const {
        const pcapng::PacketView packet = pcapng::packet_of(block);
        fmt::print("{} {} {} bytes {}\n", time_text(packet.time_ns),
                   packet.interface < names_.size() ? names_[packet.interface] : "?",
                   packet.orig_len, pcapng::option_of(block, pcapng::kComment));
    }
    Result<void> flush() {
        if (files_) {
            return files_->flush();
        }
        return std::fflush(stdout) == 0 ? Result<void>() : Result<void>(Error{"cannot write"});
    }

    int fd_;
    const CaptureOptions& options_;
    CaptureFiles* files_;
    bool asked_ = false;
    std::string data_;
    std::string summary_;
    std::vector<std::string> names_;
};

std::vector<std::string> words_for(const CaptureOptions& o, const std::string& socket) {
    std::vector<std::string> words{socket,
                                   "direction=" + o.directions,
                                   fmt::format("snaplen={}", o.snaplen),
                                   fmt::format("count={}", o.count),
                                   fmt::format("sample={}", o.sample),
                                   fmt::format("rate={}", o.rate),
                                   fmt::format("ring-kb={}", o.ring_kb)};
    if (!o.filter.empty()) {
        words.push_back("filter=" + o.filter);
    }
    if (!o.datapath.empty()) {
        words.push_back("datapath=" + o.datapath);
    }
    for (const std::string& port : o.ports) {
        words.push_back("port=" + port);
    }
    for (const std::string& port : o.logical_ports) {
        words.push_back("logical-port=" + port);
    }
    return words;
}

/// "seen=9 written=5 ring_full=0" for people.
std::string summary_text(const std::string& summary) {
    std::map<std::string, std::string> of;
    size_t at = 0;
    while (at < summary.size()) {
        const size_t end = std::min(summary.find(' ', at), summary.size());
        const size_t equals = summary.find('=', at);
        if (equals < end) {
            of[summary.substr(at, equals - at)] = summary.substr(equals + 1, end - equals - 1);
        }
        at = end + 1;
    }
    return fmt::format(
        "{} packets captured of {} seen; left out: {} in full rings, {} beyond the rate, {} by "
        "sampling\n",
        of["written"], of["seen"], of["ring_full"], of["over_rate"], of["sampled_out"]);
}

int capture(const CtlOptions& options, const CaptureOptions& o) {
    const Result<std::string> daemon = find_socket(options.target, options.run_dir);
    if (!daemon) {
        return complain(daemon.error().message, kUsageError);
    }
    Listener listener;
    if (const Result<void> opened = listener.open(options.run_dir); !opened) {
        return complain(opened.error().message, kUsageError);
    }
    const Result<CtlAnswer> answer =
        call(*daemon, "capture/start", words_for(o, listener.path()), options.timeout_s);
    if (!answer) {
        return complain(answer.error().message, kUsageError);
    }
    if (!answer->ok) {
        return complain(answer->text, kRefused);
    }
    const Result<int> peer = listener.accept();
    if (!peer) {
        return complain(peer.error().message, kUsageError);
    }
    std::optional<CaptureFiles> files;
    if (!o.write.empty()) {
        Result<CaptureFiles> opened = CaptureFiles::open(o);
        if (!opened) {
            return complain(opened.error().message, kUsageError);
        }
        files.emplace(std::move(*opened));
    }
    Reader reader(*peer, o, files ? &*files : nullptr);
    const Result<void> done = reader.run();
    close(*peer);
    if (!done) {
        return complain(done.error().message, kUsageError);
    }
    if (reader.summary().empty()) {
        return complain("the daemon went away during the capture", kUsageError);
    }
    fmt::print(stderr, "{}", summary_text(reader.summary()));
    return 0;
}

}  // namespace

int run_capture(const CtlOptions& options) {
    const Result<CaptureOptions> o = parse_capture_options(options.args);
    if (!o) {
        return complain(o.error().message, kUsageError);
    }
    if (o->help) {
        return std::fputs(capture_help().c_str(), stdout) < 0 ? kUsageError : 0;
    }
    if (o->write == "-" && isatty(STDOUT_FILENO)) {
        return complain("-w - writes pcapng: pipe it (| tshark -r -), or leave -w out for lines",
                        kUsageError);
    }
    struct sigaction action {};
    action.sa_handler = note_signal;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return capture(options, *o);
}

}  // namespace sluice
