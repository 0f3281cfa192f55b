/* watchdog.c: the hook's home. */
#include "trivet/base/watchdog.h"
#include <stddef.h>

void (*watchdog_hook)(void);
