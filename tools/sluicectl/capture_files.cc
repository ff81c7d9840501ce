// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "control/capture/pcapng.h"
#include "tools/sluicectl/capture.h"

namespace sluice {
namespace {

constexpr size_t kWriteAt = 1u << 16;

}  // namespace

Result<CaptureFiles> CaptureFiles::open(const CaptureOptions& options) {
    CaptureFiles files;
    files.name_ = options.write;
    files.limit_ = options.file_bytes;
    files.files_ = options.files;
    if (options.write == "-") {
        files.fd_ = dup(STDOUT_FILENO);
    } else if (Result<void> opened = files.next_file(); !opened) {
        return opened.error();
    }
    return files;
}

CaptureFiles::CaptureFiles(CaptureFiles&& other) noexcept
    : name_(std::move(other.name_)),
      limit_(other.limit_),
      files_(other.files_),
      next_(other.next_),
      fd_(std::exchange(other.fd_, -1)),
      written_(other.written_),
      head_(std::move(other.head_)),
      buffer_(std::move(other.buffer_)) {}

CaptureFiles::~CaptureFiles() {
    if (fd_ >= 0) {
        close(fd_);
    }
}

Result<void> CaptureFiles::next_file() {
    if (fd_ >= 0) {
        if (Result<void> flushed = flush(); !flushed) {
            return flushed;
        }
        close(fd_);
    }
    const std::string path = limit_ ? fmt::format("{}.{}", name_, next_) : name_;
    if (limit_) {
        next_ = (next_ + 1) % files_;
    }
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) {
        return Error{fmt::format("cannot write {}: {}", path, std::strerror(errno))};
    }
    buffer_ = head_;
    written_ = head_.size();
    return {};
}

Result<void> CaptureFiles::write(std::string_view block) {
    const pcapng::BlockType type = pcapng::type_of(block);
    const bool is_head =
        type == pcapng::BlockType::kSection || type == pcapng::BlockType::kInterface;
    if (limit_ && !is_head && written_ > head_.size() && written_ + block.size() > limit_) {
        if (Result<void> opened = next_file(); !opened) {
            return opened;
        }
    }
    if (is_head) {
        head_ += block;
    }
    buffer_ += block;
    written_ += block.size();
    return buffer_.size() >= kWriteAt ? flush() : Result<void>();
}

Result<void> CaptureFiles::flush() {
    size_t at = 0;
    while (at < buffer_.size()) {
        const ssize_t n = ::write(fd_, buffer_.data() + at, buffer_.size() - at);
        if (n < 0 && errno != EINTR) {
            return Error{fmt::format("cannot write {}: {}", name_, std::strerror(errno))};
        }
        at += n < 0 ? 0 : static_cast<size_t>(n);
    }
    buffer_.clear();
    return {};
}

}  // namespace sluice
