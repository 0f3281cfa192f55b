/* folder.h: a folder for a test's data that outlives its servers: one whose disk fails, or that several
 * servers have in turn. What goes wrong fails the running test. */
#ifndef TESTS_HARNESS_FOLDER_H
#define TESTS_HARNESS_FOLDER_H

#define FOLDER_PATH 64

/* A new one below /tmp, with `name` in its name. */
void folder_make(char path[FOLDER_PATH], const char *name);
/* With all that is in it. */
void folder_remove(const char *path);

#endif
