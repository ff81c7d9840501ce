// SPDX-License-Identifier: Apache-2.0
// Database files read without a server: standalone, clustered, or the output of
// `ovsdb-client backup` (which is a standalone file).
//
// The result is what a server started on the file would serve. A log may end in a torn or damaged
// record (the writer died): what came before it is kept and `warning` tells the offset. A
// clustered file holds one server's log, so its last entries may not have been committed by the
// cluster; they are applied, as `ovsdb-tool cluster-to-standalone` does.
//
// Threads: none of its own; blocks while reading.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/ovsdb/client.h"
#include "control/ovsdb/replica.h"
#include "control/ovsdb/schema.h"
#include "lib/base/result.h"

namespace sluice::ovsdb {

struct DbFile {
    std::unique_ptr<Replica> replica;
    Schema schema;
    Update contents;      ///< all rows as insertions: hand it to the code that serves a Client
    std::string warning;  ///< empty when the file was read to its end
    bool clustered = false;
    size_t records = 0;
};

/// No specs: every table and every column of the file.
Result<DbFile> read_db_file(const std::string& path, std::vector<TableSpec> specs);
/// The same from memory; `name` is for messages.
Result<DbFile> read_db_bytes(std::string_view bytes, std::vector<TableSpec> specs,
                             const std::string& name);

}  // namespace sluice::ovsdb
