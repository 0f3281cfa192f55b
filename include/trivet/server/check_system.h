/* check_system.h: --check-system: is this machine set up as a data server likes it?
 *
 * Main thread. */
#ifndef TRIVET_SERVER_CHECK_SYSTEM_H
#define TRIVET_SERVER_CHECK_SYSTEM_H

#include <stdio.h>

/* Writes a line for each check: "[OK]", "[WARN]" with the way to mend it, or "[SKIP]" with what could not be
 * seen. Files of the system are looked for below `root`: "" but in tests. The exit status: 1 if there was a
 * warning, else 0. */
int check_system(FILE *out, const char *root);

#endif
