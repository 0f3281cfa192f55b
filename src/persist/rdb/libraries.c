/* libraries.c: the hooks through which files get and give libraries of functions (file.h). */
#include "trivet/persist/rdb/file.h"

struct rdb_libraries rdb_libraries;
struct rdb_imports rdb_imports;
