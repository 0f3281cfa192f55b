/* workers.c: see workers.h. */
#include "trivet/engine/turn/workers.h"

struct mailbox worker_mailboxes[WORKERS_MAX];
