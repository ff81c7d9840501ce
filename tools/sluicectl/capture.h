// SPDX-License-Identifier: Apache-2.0
// sluicectl capture: asks the daemon for packets and writes them to files, to stdout, or as lines.
//
// The daemon sends pcapng blocks to a unix socket of ours, so files are ours: our rights, our
// directory. Half-closing the socket asks for the end; what the daemon still has comes then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "tools/sluicectl/options.h"

namespace sluice {

struct CaptureOptions {
    std::string write;  ///< file, "-" for stdout, "" for lines
    std::vector<std::string> ports;
    std::vector<std::string> logical_ports;
    std::string datapath;
    std::string directions = "rx,tx,drop";
    std::string filter;
    uint32_t snaplen = 65535;
    uint64_t count = 0;
    double seconds = 0;
    uint32_t sample = 1;
    uint64_t rate = 100000;
    uint32_t ring_kb = 4096;
    uint64_t file_bytes = 0;  ///< of one file of a ring; 0: one file without end
    unsigned files = 0;
    bool help = false;
};

Result<CaptureOptions> parse_capture_options(const std::vector<std::string>& args);
std::string capture_help();

/// The exit status.
int run_capture(const CtlOptions& options);

/// Where blocks go: one file, or a ring of them that each can be read alone.
class CaptureFiles {
public:
    static Result<CaptureFiles> open(const CaptureOptions& options);
    CaptureFiles(CaptureFiles&& other) noexcept;
    CaptureFiles& operator=(CaptureFiles&&) = delete;
    ~CaptureFiles();

    Result<void> write(std::string_view block);
    Result<void> flush();

private:
    CaptureFiles() = default;
    Result<void> next_file();

    std::string name_;
    uint64_t limit_ = 0;
    unsigned files_ = 0;
    unsigned next_ = 0;
    int fd_ = -1;
    uint64_t written_ = 0;
    std::string head_;    ///< section and interface blocks: what every file starts with
    std::string buffer_;  ///< not written yet
};

}  // namespace sluice
