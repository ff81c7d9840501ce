// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/db_file.h"

#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "lib/json/json.h"

namespace sluice::ovsdb {

namespace {

constexpr std::string_view kMagic = "OVSDB ";

std::string sha1_hex(std::string_view bytes) {
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
    constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : digest) {
        text += kHex[byte >> 4];
        text += kHex[byte & 15];
    }
    return text;
}

// The records of a log: "OVSDB <magic> <length> <sha1>\n" and that many bytes of JSON.
class LogReader {
public:
    explicit LogReader(std::string_view bytes) : bytes_(bytes) {}

    size_t offset() const { return offset_; }
    const std::string& magic() const { return magic_; }

    /// Empty at the end of the log. After an error offset() is where the bad record begins.
    Result<std::optional<json::Document>> next() {
        if (offset_ == bytes_.size()) {
            return std::optional<json::Document>();
        }
        const std::string_view rest = bytes_.substr(offset_);
        const size_t line_end = rest.find('\n');
        std::istringstream header(std::string(rest.substr(0, std::min<size_t>(line_end, 128))));
        std::string word;
        std::string magic;
        std::string sha;
        size_t length = 0;
        if (!(header >> word >> magic >> length >> sha) || word != "OVSDB" || sha.size() != 40 ||
            line_end == std::string_view::npos) {
            return Error{"no record header"};
        }
        if (!magic_.empty() && magic != magic_) {
            return Error{"record of another kind (" + magic + ")"};
        }
        const std::string_view data = rest.substr(line_end + 1, length);
        if (data.size() < length) {
            return Error{"the record is cut off"};
        }
        if (sha1_hex(data) != sha) {
            return Error{"the record's checksum is wrong"};
        }
        Result<json::Document> document = json::Document::parse(std::string(data));
        if (!document) {
            return document.error();
        }
        magic_ = magic;
        offset_ += line_end + 1 + length;
        return std::optional<json::Document>(std::move(document).value());
    }

private:
    std::string_view bytes_;
    size_t offset_ = 0;
    std::string magic_;
};

class Loader {
public:
    Loader(DbFile* out, std::vector<TableSpec> specs) : out_(*out), specs_(std::move(specs)) {}

    // A schema in the middle of a log is a conversion: the record beside it holds everything.
    Result<void> use_schema(json::Value value) {
        Result<Schema> schema = Schema::parse(value);
        if (!schema) {
            return schema.error();
        }
        std::vector<TableSpec> specs = specs_;
        if (specs.empty()) {
            for (const auto& [name, table] : schema->tables) {
                specs.push_back(TableSpec{name, {}, Condition::all()});
            }
        }
        auto replica = std::make_unique<Replica>(std::move(specs));
        const Result<bool> bound = replica->bind(*schema);
        if (!bound) {
            return bound.error();
        }
        out_.replica = std::move(replica);
        out_.schema = std::move(schema).value();
        return {};
    }

    Result<void> use_record(json::Value record) {
        if (!record.is_object()) {
            return Error{"a transaction record that is no object"};
        }
        const auto changes =
            out_.replica->apply_file_record(record, record.find("_is_diff").boolean());
        return changes ? Result<void>() : Result<void>(changes.error());
    }

    // [schema or null, transaction]: what a clustered log carries per entry.
    Result<void> use_entry(json::Value data) {
        if (!data.is_array() || data.size() != 2) {
            return data.is_null() ? Result<void>() : Error{"log entry of an unknown form"};
        }
        if (!data.at(0).is_null()) {
            Result<void> used = use_schema(data.at(0));
            if (!used) {
                return used;
            }
        }
        return data.at(1).is_null() ? Result<void>() : use_record(data.at(1));
    }

    bool has_schema() const { return out_.replica != nullptr; }

private:
    DbFile& out_;
    std::vector<TableSpec> specs_;
};

// A clustered log is read whole before anything is applied: a later record with the same index
// takes back the entries from there on (the leader changed before they were committed).
class RaftLog {
public:
    void add(const json::Document& document, size_t offset) {
        const json::Value record = document.root();
        if (record.has("prev_data")) {
            entries_.clear();
            entries_[record.find("prev_index").integer()] = {document, offset, true};
        } else if (record.has("index")) {
            const int64_t index = record.find("index").integer();
            entries_.erase(entries_.lower_bound(index), entries_.end());
            entries_[index] = {document, offset, false};
        }
        // Terms, votes, notes and commit indices change no data.
    }

    Result<void> apply(Loader* loader) const {
        for (const auto& [index, entry] : entries_) {
            const json::Value root = entry.document.root();
            const Result<void> used =
                loader->use_entry(root.find(entry.snapshot ? "prev_data" : "data"));
            if (!used) {
                return used.error().with_context("record at offset " +
                                                 std::to_string(entry.offset));
            }
        }
        return {};
    }

private:
    struct Entry {
        json::Document document;
        size_t offset = 0;
        bool snapshot = false;
    };
    std::map<int64_t, Entry> entries_;
};

void fill_contents(DbFile* file) {
    const Replica& replica = *file->replica;
    file->contents.sync = true;
    for (uint32_t table = 0; table < replica.table_count(); ++table) {
        const size_t columns = replica.spec(table).columns.size();
        const ColumnSet all = columns >= 64 ? ~ColumnSet{0} : (ColumnSet{1} << columns) - 1;
        const size_t first = file->contents.changes.size();
        for (const auto& [uuid, row] : replica.rows(table)) {
            file->contents.changes.push_back(RowChange{table, uuid, nullptr, row, all});
        }
        // One order for one file, whatever the hash table's.
        std::sort(file->contents.changes.begin() + static_cast<ptrdiff_t>(first),
                  file->contents.changes.end(),
                  [](const RowChange& a, const RowChange& b) { return a.uuid < b.uuid; });
    }
}

void warn(DbFile* file, const std::string& name, size_t offset, const Error& error) {
    file->warning = name + ": " + error.message + " at offset " + std::to_string(offset) +
                    "; what comes before is used";
}

Result<void> read_standalone(LogReader* reader, const json::Document& first, Loader* loader,
                             DbFile* file, const std::string& name) {
    const Result<void> used = loader->use_schema(first.root());
    if (!used) {
        return used.error().with_context(name);
    }
    for (;;) {
        const size_t offset = reader->offset();
        const Result<std::optional<json::Document>> record = reader->next();
        if (record && !record->has_value()) {
            return {};
        }
        const Result<void> applied =
            record ? loader->use_record((**record).root()) : Result<void>(record.error());
        if (!applied) {
            warn(file, name, offset, applied.error());
            return {};
        }
        ++file->records;
    }
}

Result<void> read_clustered(LogReader* reader, const json::Document& first, Loader* loader,
                            DbFile* file, const std::string& name) {
    RaftLog log;
    file->clustered = true;
    log.add(first, 0);
    for (;;) {
        const size_t offset = reader->offset();
        const Result<std::optional<json::Document>> record = reader->next();
        if (!record) {
            warn(file, name, offset, record.error());
            break;
        }
        if (!record->has_value()) {
            break;
        }
        log.add(**record, offset);
        ++file->records;
    }
    const Result<void> applied = log.apply(loader);
    if (!loader->has_schema()) {
        return Error{name + ": this member of a cluster holds no data yet" +
                     (applied ? "" : " (" + applied.error().message + ")")};
    }
    if (!applied) {
        file->warning = name + ": " + applied.error().message + "; what comes before is used";
    }
    return {};
}

}  // namespace

Result<DbFile> read_db_bytes(std::string_view bytes, std::vector<TableSpec> specs,
                             const std::string& name) {
    if (bytes.substr(0, kMagic.size()) != kMagic) {
        return Error{name + ": not a database file (it does not begin with \"OVSDB\")"};
    }
    DbFile file;
    LogReader reader(bytes);
    const Result<std::optional<json::Document>> first = reader.next();
    if (!first) {
        return first.error().with_context(name + ", first record");
    }
    file.records = 1;
    Loader loader(&file, std::move(specs));
    Result<void> read;
    if (reader.magic() == "JSON") {
        read = read_standalone(&reader, **first, &loader, &file, name);
    } else if (reader.magic() == "CLUSTER") {
        read = read_clustered(&reader, **first, &loader, &file, name);
    } else {
        read = Error{name + ": unknown kind of database file: OVSDB " + reader.magic()};
    }
    if (!read) {
        return read.error();
    }
    fill_contents(&file);
    return file;
}

Result<DbFile> read_db_file(const std::string& path, std::vector<TableSpec> specs) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        return Error{path + ": cannot open: " + std::strerror(errno)};
    }
    std::ostringstream text;
    text << in.rdbuf();
    if (in.bad()) {
        return Error{path + ": cannot read: " + std::strerror(errno)};
    }
    return read_db_bytes(text.view(), std::move(specs), path);
}

}  // namespace sluice::ovsdb
